use std::collections::BTreeMap;

use super::*;

const FILES: [&str; 5] = [
    "ca.key",
    "ca.crt",
    "server.key",
    "server.crt",
    "server.names",
];

fn load(dir: &Path) -> Certificates {
    Certificates::load_or_create(dir, &[], Timestamp::now())
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

fn files(dir: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    FILES
        .into_iter()
        .map(|name| (name, std::fs::read(dir.join(name)).unwrap()))
        .collect()
}

/// Connects in memory as a client that trusts `bundle_pem` alone.
fn connects(bundle_pem: &str, server: &Arc<rustls::ServerConfig>) -> Result<(), rustls::Error> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(bundle_pem.as_bytes()).unwrap())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut client =
        rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap())?;
    let mut server = rustls::ServerConnection::new(server.clone())?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets()?;
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn certificates_are_stable_until_they_end_or_a_name_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let load = |names: &[String], now| {
        Certificates::load_or_create(dir.path(), names, now)
            .unwrap()
            .bundle_pem
    };
    let first = load(&[], now);
    assert_eq!(first, load(&[], now));
    let near_the_end = now + SignedDuration::from_hours(24 * (397 - RENEW_BEFORE_DAYS + 1));
    let renewed = load(&[], near_the_end);
    assert_ne!(first, renewed);
    assert_ne!(renewed, load(&["host.example".to_owned()], near_the_end));
    let authority = |bundle: &str| bundle.split("-----END").next().unwrap().to_owned();
    assert_eq!(
        authority(&first),
        authority(&renewed),
        "the authority stays"
    );
}

#[test]
fn whatever_a_crash_leaves_the_next_start_has_certificates_that_belong_together() {
    let dir = tempfile::tempdir().unwrap();
    let old = load(dir.path());
    let whole = files(dir.path());
    for subset in 0..1_u32 << FILES.len() {
        let is_left = |index: usize| subset & (1 << index) != 0;
        for name in FILES {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        for (index, name) in FILES.into_iter().enumerate().filter(|(i, _)| is_left(*i)) {
            std::fs::write(dir.path().join(name), &whole[FILES[index]]).unwrap();
            assert!(dir.path().join(name).exists());
        }
        let healed = load(dir.path());
        connects(&healed.bundle_pem, &healed.server)
            .unwrap_or_else(|error| panic!("with the files {subset:05b}: {error}"));
        // A kubeconfig that somebody copied is good for as long as the key is there.
        assert_eq!(
            connects(&old.bundle_pem, &healed.server).is_ok(),
            is_left(0),
            "with the files {subset:05b}"
        );
        assert_eq!(files(dir.path()), {
            load(dir.path());
            files(dir.path())
        });
    }
}

#[test]
fn a_truncated_empty_zeroed_or_foreign_file_is_healed_and_kept_beside() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = load(dir.path());
    let whole = files(dir.path());
    load(other.path());
    let foreign = files(other.path());
    for name in FILES {
        let half = whole[name].len() / 2;
        for (damage, content) in [
            ("truncated", whole[name][..half].to_vec()),
            ("empty", Vec::new()),
            ("zeroed", vec![0; 300]),
            ("not UTF-8", vec![0xff; 300]),
            ("nonsense", b"nonsense".to_vec()),
            ("another's", foreign[name].clone()),
        ] {
            for (name, content) in &whole {
                std::fs::write(dir.path().join(name), content).unwrap();
            }
            std::fs::write(dir.path().join(name), &content).unwrap();
            let healed = load(dir.path());
            connects(&healed.bundle_pem, &healed.server)
                .unwrap_or_else(|error| panic!("{name} {damage}: {error}"));
            assert_eq!(
                connects(&old.bundle_pem, &healed.server).is_ok(),
                name != "ca.key",
                "{name} {damage}"
            );
            let kept: Vec<_> = dir
                .path()
                .read_dir()
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.to_string_lossy().contains(".replaced-"))
                .collect();
            let holds_something = !["empty", "zeroed"].contains(&damage);
            // A foreign key is as good as ours; the names are no secret.
            let is_used = (name, damage) == ("ca.key", "another's") || name == "server.names";
            if holds_something && !is_used {
                assert!(
                    kept.iter()
                        .any(|path| std::fs::read(path).unwrap() == content),
                    "{name} {damage}: {kept:?}"
                );
            }
            for path in kept {
                std::fs::remove_file(path).unwrap();
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_name_and_left_alone() {
    for name in FILES {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        let path = dir.path().join(name);
        std::fs::remove_file(&path).unwrap();
        // Also for root, whom no mode keeps out.
        std::fs::create_dir(&path).unwrap();
        let Err(error) = Certificates::load_or_create(dir.path(), &[], Timestamp::now()) else {
            panic!("took a directory for {name}")
        };
        let error = error.to_string();
        assert!(
            error.contains(name) && error.contains("delete it"),
            "{error}"
        );
        assert!(path.is_dir());
    }
}
