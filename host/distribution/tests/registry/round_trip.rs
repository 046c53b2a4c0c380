//! What is published is read again.

use rdd_distribution::{ArtifactSource as _, PackageForm, PackageUpload, Platform, PluginPackage};

use crate::support::*;

#[tokio::test]
async fn a_component_is_published_and_downloaded() {
    let Some(registry) = PrivateRegistry::start(false).await else {
        return;
    };
    // Larger than any buffer on the way.
    let content = b"component ".repeat(500_000);
    let upload = component(&content);
    let reference = registry.reference("team/toy:1.0");
    client(&reference, None).push(&upload).await.unwrap();
    // Published again, nothing is uploaded twice, and nothing fails.
    client(&reference, None).push(&upload).await.unwrap();

    let source = client(&reference, None);
    let package = PluginPackage::read(&source, &Platform::current())
        .await
        .unwrap();
    assert_eq!(package.form, PackageForm::Component);
    assert_eq!(package.manifest.as_deref(), Some("name = \"toy\"\n"));
    assert_eq!(&package.digest, upload.digest());
    let mut downloaded = Vec::new();
    source.blob(&package.file, &mut downloaded).await.unwrap();
    assert_eq!(downloaded, content);

    let pinned = registry.reference(&format!("team/toy@{}", upload.digest()));
    let package = PluginPackage::read(&client(&pinned, None), &Platform::current()).await;
    assert_eq!(&package.unwrap().digest, upload.digest());
    for missing in ["team/toy:2.0", "team/other:1.0"] {
        let source = client(&registry.reference(missing), None);
        let error = PluginPackage::read(&source, &Platform::current())
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("there is no artifact"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_library_has_a_file_for_each_platform() {
    let Some(registry) = PrivateRegistry::start(false).await else {
        return;
    };
    let current = Platform::current();
    let other: Platform = "plan9/386".parse().unwrap();
    let files = vec![(other, file(b"other")), (current.clone(), file(b"own"))];
    let upload = PackageUpload::library("name = \"toy\"\n", &labels(), files).unwrap();
    let reference = registry.reference("toy:1");
    client(&reference, None).push(&upload).await.unwrap();
    let source = client(&reference, None);
    let package = PluginPackage::read(&source, &current).await.unwrap();
    assert_eq!(package.form, PackageForm::Library);
    assert_eq!(package.manifest.as_deref(), Some("name = \"toy\"\n"));
    let mut content = Vec::new();
    source.blob(&package.file, &mut content).await.unwrap();
    assert_eq!(content, b"own");
}

#[tokio::test]
async fn a_registry_with_credentials_requires_the_right_ones() {
    let Some(registry) = PrivateRegistry::start(true).await else {
        return;
    };
    let reference = registry.reference("toy:1");
    let upload = component(b"x");
    let denied = client(&reference, None)
        .push(&upload)
        .await
        .unwrap_err()
        .to_string();
    assert!(denied.contains("log in with 'docker login"), "{denied}");
    let wrong = Some(password("me", "wrong"));
    let denied = client(&reference, wrong)
        .push(&upload)
        .await
        .unwrap_err()
        .to_string();
    assert!(denied.contains("with your credentials"), "{denied}");
    assert!(!denied.contains("wrong"), "{denied}");
    let right = Some(password(USER.0, USER.1));
    client(&reference, right.clone())
        .push(&upload)
        .await
        .unwrap();
    let read = async |credentials| {
        let source = client(&reference, credentials);
        PluginPackage::read(&source, &Platform::current()).await
    };
    read(right).await.unwrap();
    let error = read(None).await.unwrap_err().to_string();
    assert!(error.contains("denied access"), "{error}");
}
