//! `rdd token revoke`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use kube::Client;
use kube::api::DeleteParams;

use super::create::parse_name;
use super::secrets;
use crate::token_record::TokenRecord;

/// How often, and how many times, the command looks whether the daemon has ended
/// the token, which takes milliseconds.
const END_INTERVAL: Duration = Duration::from_millis(20);
const END_ATTEMPTS: usize = 250;

/// Options of `rdd token revoke`.
#[derive(Args)]
pub(crate) struct TokenRevokeArgs {
    /// Name of the token, as in 'rdd token list'
    #[arg(value_parser = parse_name)]
    name: String,
}

/// Revokes a token. On return, it is not accepted any longer, and what was opened
/// with it ends.
pub(super) async fn run(client: Client, args: TokenRevokeArgs) -> Result<ExitCode> {
    let TokenRevokeArgs { name } = args;
    let secrets = secrets(client);
    let secret = TokenRecord::secret_name(&name);
    match secrets.delete(&secret, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            bail!("there is no token named {name:?}; 'rdd token list' lists them")
        }
        Err(error) => return Err(error).context("cannot revoke the token"),
    }
    for _ in 0..END_ATTEMPTS {
        let stored = secrets.get_opt(&secret).await;
        if stored
            .context("cannot ask whether the token has ended")?
            .is_none()
        {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(END_INTERVAL).await;
    }
    bail!("the token is to be revoked, but the daemon has not ended it; its log says why")
}
