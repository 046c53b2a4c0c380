//! `rdd token create`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};
use rdd_gateway::BearerToken;

use super::secrets;
use crate::duration_argument::parse_duration;
use crate::output;
use crate::token_record::{TokenDigest, TokenRecord, TokenRole};

/// The beginning of each token: people and programs that look for secrets recognize
/// it, and no token is taken for an option.
const TOKEN_PREFIX: &str = "rdd_";
/// The longest name: the name of its Secret is a DNS subdomain, and the name of its
/// user appears in messages.
const MAX_NAME_BYTES: usize = 50;
/// The longest life of a token with an end. A longer one is as good as none.
const MAX_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// How often, and how many times, a new token is tried until the daemon accepts it,
/// which takes milliseconds.
const ACCEPT_INTERVAL: Duration = Duration::from_millis(20);
const ACCEPT_ATTEMPTS: usize = 250;

/// Options of `rdd token create`.
#[derive(Args)]
pub(crate) struct TokenCreateArgs {
    /// What the owner of the token may do
    #[arg(long, value_enum)]
    role: TokenRole,
    /// How long the token is valid, such as 30m or 8h [default: until it is revoked]
    #[arg(long, value_name = "DURATION", value_parser = parse_ttl)]
    ttl: Option<Duration>,
    /// Name of the token, for 'rdd token list' and 'rdd token revoke' [default: the role and five random characters]
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
}

/// A value on the command line that is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenArgumentError {
    /// Not the name of a token.
    #[error(
        "a name has at most {MAX_NAME_BYTES} lower-case letters, digits, and '-', and begins and ends with a letter or digit"
    )]
    Name,
    /// Not a duration in the range.
    #[error("use a duration from 1s to ten years, such as 30m or 8h")]
    Ttl,
}

fn parse_ttl(text: &str) -> Result<Duration, TokenArgumentError> {
    match parse_duration(text) {
        Ok(ttl) if (Duration::from_secs(1)..=MAX_TTL).contains(&ttl) => Ok(ttl),
        _ => Err(TokenArgumentError::Ttl),
    }
}

/// Parses the name of a token.
pub(super) fn parse_name(text: &str) -> Result<String, TokenArgumentError> {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_valid = text.len() <= MAX_NAME_BYTES
        && !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(is_inner);
    match is_valid {
        true => Ok(text.to_owned()),
        false => Err(TokenArgumentError::Name),
    }
}

/// Creates a token, and prints it once the daemon accepts it.
pub(super) async fn run(client: Client, args: TokenCreateArgs) -> Result<ExitCode> {
    let TokenCreateArgs { role, ttl, name } = args;
    let token = format!("{TOKEN_PREFIX}{}", BearerToken::random()?.reveal());
    let expires_at = ttl.map(|ttl| expiry(Timestamp::now(), ttl));
    let record = TokenRecord {
        name: name.unwrap_or_else(|| generated_name(role)),
        role,
        digest: TokenDigest::of(&token),
        expires_at: expires_at.transpose()?,
        created_at: None,
    };
    let name = &record.name;
    match secrets(client.clone())
        .create(&PostParams::default(), &record.to_secret())
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => bail!(
            "there is a token named {name:?}; choose another name with --name, or revoke it with 'rdd token revoke {name}'"
        ),
        Err(error) => return Err(error).context("cannot store the token"),
    }
    wait_until_accepted(client, &token).await.with_context(|| {
        format!("the token is stored but was not printed; end it with 'rdd token revoke {name}'")
    })?;
    output::print(&format!("{token}\n"))?;
    output::print_note(&format!(
        "This is the only time that the token {name:?} is shown; 'rdd token revoke {name}' ends it."
    ));
    Ok(ExitCode::SUCCESS)
}

/// Returns when a token ends: at a whole second, not before `ttl` has passed.
fn expiry(now: Timestamp, ttl: Duration) -> Result<Timestamp, jiff::Error> {
    let seconds = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Ceil);
    now.checked_add(ttl)?.round(seconds)
}

fn generated_name(role: TokenRole) -> String {
    let random = uuid::Uuid::new_v4().simple().to_string();
    let suffix: String = random.chars().take(5).collect();
    format!("{}-{suffix}", role.name())
}

/// Waits until the daemon accepts the token, so that it works when it is printed.
async fn wait_until_accepted(client: Client, token: &str) -> Result<()> {
    let reviews: Api<TokenReview> = Api::all(client);
    let review = TokenReview {
        spec: TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: None,
        },
        ..TokenReview::default()
    };
    for _ in 0..ACCEPT_ATTEMPTS {
        let reviewed = reviews
            .create(&PostParams::default(), &review)
            .await
            .context("cannot ask whether the daemon accepts the token")?;
        if reviewed.status.unwrap_or_default().authenticated == Some(true) {
            return Ok(());
        }
        tokio::time::sleep(ACCEPT_INTERVAL).await;
    }
    bail!("the daemon does not accept it; its log says why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_at_a_whole_second() {
        let expiry = |now: &str, seconds| {
            let ttl = Duration::from_secs(seconds);
            expiry(now.parse().unwrap(), ttl).unwrap().to_string()
        };
        assert_eq!(
            expiry("2026-11-28T05:08:54.884360341Z", 60),
            "2026-11-28T05:09:55Z"
        );
        assert_eq!(expiry("2026-11-28T05:08:54Z", 60), "2026-11-28T05:09:54Z");
    }

    #[test]
    fn a_name_is_a_dns_label() {
        for name in ["a", "ci", "grafana-2", &"a".repeat(MAX_NAME_BYTES)] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for name in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a b",
            &"a".repeat(MAX_NAME_BYTES + 1),
        ] {
            assert_eq!(parse_name(name), Err(TokenArgumentError::Name), "{name:?}");
        }
        for role in [TokenRole::Viewer, TokenRole::Logs, TokenRole::Admin] {
            let name = generated_name(role);
            assert_eq!(parse_name(&name).as_deref(), Ok(name.as_str()));
        }
    }

    #[test]
    fn a_life_is_from_a_second_to_ten_years() {
        assert_eq!(parse_ttl("8h"), Ok(Duration::from_secs(8 * 60 * 60)));
        for text in ["0s", "-1h", "1ms", "999999h", "soon", ""] {
            assert_eq!(parse_ttl(text), Err(TokenArgumentError::Ttl), "{text:?}");
        }
    }
}
