//! Tests of [`CertificateSet`] with stored files of every kind.

use std::collections::BTreeMap;

use super::*;

const FILES: [&str; 5] = [
    "ca.key",
    "ca.crt",
    "server.key",
    "server.crt",
    "server.names",
];

fn load(dir: &Path) -> CertificateSet {
    CertificateSet::load_or_create(dir, &[], Timestamp::now())
        .unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)))
}

fn files(dir: &Path) -> BTreeMap<&'static str, Vec<u8>> {
    FILES
        .into_iter()
        .map(|name| (name, std::fs::read(dir.join(name)).unwrap()))
        .collect()
}

/// Performs a TLS handshake in memory, with a client that trusts `bundle_pem`
/// only.
fn handshake(bundle_pem: &str, server: &Arc<rustls::ServerConfig>) -> Result<(), rustls::Error> {
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
fn certificates_are_kept_until_they_expire_or_a_name_is_added() {
    let dir = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let load = |names: &[String], now| {
        CertificateSet::load_or_create(dir.path(), names, now)
            .unwrap()
            .bundle_pem
    };
    let first = load(&[], now);
    assert_eq!(first, load(&[], now));
    let near_expiry = now + SignedDuration::from_hours(24 * (397 - RENEW_BEFORE_DAYS + 1));
    let renewed = load(&[], near_expiry);
    assert_ne!(first, renewed);
    assert_ne!(renewed, load(&["host.example".to_owned()], near_expiry));
    let authority = |bundle: &str| bundle.split("-----END").next().unwrap().to_owned();
    assert_eq!(
        authority(&first),
        authority(&renewed),
        "the authority is kept"
    );
}

#[test]
fn any_subset_of_the_files_leads_to_matching_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let old = load(dir.path());
    let original = files(dir.path());
    for subset in 0..1_u32 << FILES.len() {
        let is_kept = |index: usize| subset & (1 << index) != 0;
        for name in FILES {
            std::fs::remove_file(dir.path().join(name)).unwrap();
        }
        for (index, name) in FILES.into_iter().enumerate().filter(|(i, _)| is_kept(*i)) {
            std::fs::write(dir.path().join(name), &original[FILES[index]]).unwrap();
            assert!(dir.path().join(name).exists());
        }
        let repaired = load(dir.path());
        handshake(&repaired.bundle_pem, &repaired.server)
            .unwrap_or_else(|error| panic!("with the files {subset:05b}: {error}"));
        // A copy of the kubeconfig is valid as long as the authority's key exists.
        assert_eq!(
            handshake(&old.bundle_pem, &repaired.server).is_ok(),
            is_kept(0),
            "with the files {subset:05b}"
        );
        assert_eq!(files(dir.path()), {
            load(dir.path());
            files(dir.path())
        });
    }
}

#[test]
fn a_truncated_empty_zeroed_or_foreign_file_is_replaced_and_renamed() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let old = load(dir.path());
    let original = files(dir.path());
    load(other.path());
    let foreign = files(other.path());
    for name in FILES {
        let half = original[name].len() / 2;
        for (damage, content) in [
            ("truncated", original[name][..half].to_vec()),
            ("empty", Vec::new()),
            ("zeroed", vec![0; 300]),
            ("not UTF-8", vec![0xff; 300]),
            ("nonsense", b"nonsense".to_vec()),
            ("another's", foreign[name].clone()),
        ] {
            for (name, content) in &original {
                std::fs::write(dir.path().join(name), content).unwrap();
            }
            std::fs::write(dir.path().join(name), &content).unwrap();
            let repaired = load(dir.path());
            handshake(&repaired.bundle_pem, &repaired.server)
                .unwrap_or_else(|error| panic!("{name} {damage}: {error}"));
            assert_eq!(
                handshake(&old.bundle_pem, &repaired.server).is_ok(),
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
            let has_content = !["empty", "zeroed"].contains(&damage);
            // A foreign key is valid, and the names are rewritten in place.
            let is_used = (name, damage) == ("ca.key", "another's") || name == "server.names";
            if has_content && !is_used {
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
fn a_file_that_cannot_be_read_is_named_and_not_replaced() {
    for name in FILES {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        let path = dir.path().join(name);
        std::fs::remove_file(&path).unwrap();
        // A directory is unreadable even for root, which ignores file modes.
        std::fs::create_dir(&path).unwrap();
        let Err(error) = CertificateSet::load_or_create(dir.path(), &[], Timestamp::now()) else {
            panic!("a directory was accepted as {name}")
        };
        let error = error.to_string();
        assert!(
            error.contains(name) && error.contains("delete it"),
            "{error}"
        );
        assert!(path.is_dir());
    }
}
