//! Publishing: contents first, then what refers to them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, StatusCode};

use super::{RegistryClient, RequestParts, url};
use crate::descriptor::Descriptor;
use crate::package_upload::PackageUpload;
use crate::registry_error::RegistryError;

impl RegistryClient {
    /// Publishes a plugin. Contents that the registry has already are not sent
    /// again. The reference appears last, so that it never stands for something
    /// incomplete.
    ///
    /// # Errors
    ///
    /// Fails if the registry cannot be reached, or if it rejects the plugin.
    pub async fn push(&self, upload: &PackageUpload) -> Result<(), RegistryError> {
        for (descriptor, content) in &upload.blobs {
            self.push_blob(descriptor, content).await?;
        }
        for (descriptor, content) in &upload.documents {
            self.push_document(&descriptor.digest.to_string(), descriptor, content)
                .await?;
        }
        let (descriptor, content) = &upload.root;
        self.push_document(&self.reference.tag_or_digest(), descriptor, content)
            .await
    }

    async fn push_blob(
        &self,
        descriptor: &Descriptor,
        content: &Bytes,
    ) -> Result<(), RegistryError> {
        let present = self
            .send(RequestParts {
                method: Method::HEAD,
                ..self.get(&format!("blobs/{}", descriptor.digest), "look up a content")?
            })
            .await?;
        if present.status() == StatusCode::OK {
            return Ok(());
        }
        let started = self
            .send(RequestParts {
                method: Method::POST,
                ..self.get("blobs/uploads/", "begin an upload")?
            })
            .await?;
        let started = self
            .expect(started, StatusCode::ACCEPTED, "begin an upload")
            .await?;
        let location = started
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .ok_or_else(|| self.violation("it returned no location for an upload"))?;
        let base = self.url("blobs/uploads/")?;
        let url = url::resolve(&base, location)
            .and_then(|url| url::with_query(&url, "digest", &descriptor.digest.to_string()))
            .ok_or_else(|| self.violation("it returned an invalid location for an upload"))?;
        let stored = self
            .send(RequestParts {
                method: Method::PUT,
                url,
                headers: vec![(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/octet-stream"),
                )],
                body: content.clone(),
                action: "upload a content",
                timeout: self.transfer_timeout,
            })
            .await?;
        self.expect(stored, StatusCode::CREATED, "upload a content")
            .await?;
        Ok(())
    }

    async fn push_document(
        &self,
        name: &str,
        descriptor: &Descriptor,
        content: &Bytes,
    ) -> Result<(), RegistryError> {
        let media_type = HeaderValue::from_str(&descriptor.media_type)
            .map_err(|_| self.violation("a media type is not valid"))?;
        let stored = self
            .send(RequestParts {
                method: Method::PUT,
                headers: vec![(CONTENT_TYPE, media_type)],
                body: content.clone(),
                ..self.get(&format!("manifests/{name}"), "upload the manifest")?
            })
            .await?;
        self.expect(stored, StatusCode::CREATED, "upload the manifest")
            .await?;
        Ok(())
    }
}
