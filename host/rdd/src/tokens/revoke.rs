//! `rdd token revoke`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use backon::{ConstantBuilder, Retryable as _};
use clap::Args;
use kube::Client;
use kube::api::DeleteParams;

use super::create::parse_name;
use super::{TokenRecord, secrets};

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
    let is_gone = || async {
        match secrets.get_opt(&secret).await? {
            None => Ok(()),
            Some(_) => bail!("the daemon has not ended the token yet"),
        }
    };
    let policy = ConstantBuilder::default()
        .with_delay(END_INTERVAL)
        .with_max_times(END_ATTEMPTS);
    is_gone.retry(policy).await?;
    Ok(ExitCode::SUCCESS)
}
