//! Who the caller is, and whose a token is.

use serde::Deserialize;
use serde_json::{Value, json};

use super::spec;
use crate::server::ServerState;
use crate::status::{ApiError, StatusCause};
use crate::user::UserInfo;

pub(super) fn self_subject(user: &UserInfo) -> Value {
    json!({"userInfo": user.to_value()})
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TokenReviewSpec {
    token: String,
    audiences: Vec<String>,
}

/// Specification and status; the token itself is not sent back.
pub(super) async fn token_review(
    server: &ServerState,
    sent: &Value,
) -> Result<(Option<Value>, Value), ApiError> {
    let TokenReviewSpec { token, audiences } = spec(sent)?;
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
    let found = match &server.tokens {
        Some(tokens) => tokens.authenticate(&token).await,
        None => Err("this server knows no tokens".to_owned()),
    };
    let status = match found {
        // Tokens are good for this server and for no other audience.
        Ok(user) if audiences.is_empty() => {
            json!({"authenticated": true, "user": user.to_value()})
        }
        Ok(_) => json!({"error": format!("the token is not for the audiences {audiences:?}")}),
        Err(why) => json!({"error": why}),
    };
    Ok((Some(json!({})), status))
}
