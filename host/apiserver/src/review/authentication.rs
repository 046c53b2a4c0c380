//! Authentication reviews: the user of the request, and the user of a token.

use serde::Deserialize;
use serde_json::{Value, json};

use super::spec;
use crate::server_state::ServerState;
use crate::status::{ApiError, StatusCause};
use crate::user::{TokenReviewError, UserInfo};

/// Returns the status of a `SelfSubjectReview`.
pub(super) fn self_subject(user: &UserInfo) -> Value {
    json!({"userInfo": user.to_value()})
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenReviewSpec {
    token: String,
    audiences: Vec<String>,
}

/// Returns the spec and the status of a `TokenReview`. The response does not
/// contain the token.
pub(super) async fn token_review(
    server: &ServerState,
    request: &Value,
) -> Result<(Option<Value>, Value), ApiError> {
    let TokenReviewSpec { token, audiences } = spec(request)?;
    if token.is_empty() {
        let cause = StatusCause::required(
            "spec.token",
            "token is required for TokenReview in authentication",
        );
        return Err(ApiError::invalid(
            "authentication.k8s.io",
            "TokenReview",
            "",
            vec![cause],
        ));
    }
    let authenticated = match &server.tokens {
        Some(tokens) => tokens.authenticate(&token).await,
        None => Err(TokenReviewError::new(
            "this server does not authenticate tokens",
        )),
    };
    let status = match authenticated {
        // Tokens are valid for this server only, which is no named audience.
        Ok(user) if audiences.is_empty() => {
            json!({"authenticated": true, "user": user.to_value()})
        }
        Ok(_) => json!({"error": format!("the token is not for the audiences {audiences:?}")}),
        Err(error) => json!({"error": error.to_string()}),
    };
    Ok((Some(json!({})), status))
}
