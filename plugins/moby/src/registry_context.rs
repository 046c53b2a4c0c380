//! What an error of a transfer means: engines report the errors of a registry as
//! text.

use rdd_sdk::types::{Error, ErrorCode};

use crate::image_reference::DOCKER_HUB;

/// The registry of a transfer.
pub(crate) struct RegistryContext<'a> {
    pub(crate) registry: &'a str,
    /// Whether the user has credentials for it.
    pub(crate) has_credentials: bool,
}

impl RegistryContext<'_> {
    /// Returns an error with the code that its message implies, and with the remedy
    /// if credentials are missing or wrong.
    pub(crate) fn classify(&self, error: Error) -> Error {
        if error.code != ErrorCode::Internal && error.code != ErrorCode::NotFound {
            return error;
        }
        let message = error.message.to_lowercase();
        let contains = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        if contains(&[
            "denied",
            "unauthorized",
            "authentication required",
            "no basic auth",
        ]) {
            return Error::new(ErrorCode::PermissionDenied, self.denied(&error.message));
        }
        let code = if contains(&[
            "not found",
            "manifest unknown",
            "does not exist",
            "no matching manifest",
        ]) {
            ErrorCode::NotFound
        } else if contains(&[
            "connection refused",
            "no such host",
            "i/o timeout",
            "dial tcp",
            "tls: ",
        ]) {
            ErrorCode::Unavailable
        } else {
            error.code
        };
        Error::new(code, error.message)
    }

    fn denied(&self, message: &str) -> String {
        let registry = self.registry;
        let login = match registry {
            DOCKER_HUB => "docker login".to_owned(),
            registry => format!("docker login {registry}"),
        };
        match self.has_credentials {
            true => format!(
                "{registry} rejected the saved credentials ({message}); run '{login}' with an account that has access"
            ),
            false => format!(
                "{registry} requires credentials, and none are saved ({message}); run '{login}'"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(message: &str, has_credentials: bool) -> Error {
        let context = RegistryContext {
            registry: "r.example:5000",
            has_credentials,
        };
        context.classify(Error::internal(message))
    }

    #[test]
    fn the_text_of_an_error_implies_its_code() {
        for (message, code) in [
            ("pull access denied for x", ErrorCode::PermissionDenied),
            ("manifest for x:1 not found", ErrorCode::NotFound),
            (
                "An image does not exist locally with the tag: x",
                ErrorCode::NotFound,
            ),
            (
                "dial tcp 127.0.0.1:5000: connect: connection refused",
                ErrorCode::Unavailable,
            ),
            ("disk on fire", ErrorCode::Internal),
        ] {
            let error = classify(message, false);
            assert_eq!(error.code, code, "{message}");
            assert!(error.message.contains(message), "{error:?}");
        }
    }

    #[test]
    fn missing_and_wrong_credentials_have_different_remedies() {
        let missing = classify("no basic auth credentials", false).message;
        assert!(missing.contains("none are saved"), "{missing}");
        let wrong = classify("unauthorized: authentication required", true).message;
        assert!(wrong.contains("rejected the saved credentials"), "{wrong}");
        for message in [missing, wrong] {
            assert!(message.contains("docker login r.example:5000"), "{message}");
        }
    }

    #[test]
    fn a_refusal_of_the_engine_itself_is_not_explained() {
        let context = RegistryContext {
            registry: "r.example",
            has_credentials: false,
        };
        let own = Error::new(ErrorCode::PermissionDenied, "denied by a policy");
        let error = context.classify(own);
        assert_eq!(error.message, "denied by a policy");
    }
}
