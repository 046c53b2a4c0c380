//! `rdd token list`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use kube::api::ListParams;
use kube::{Client, ResourceExt as _};
use serde::Serialize;

use super::secrets;
use crate::output::{self, CommandReport, OutputArgs};
use crate::token_record::{TOKEN_SECRET_TYPE, TokenRecord, TokenRole};

/// The output of `rdd token list`.
#[derive(Serialize)]
struct TokenListReport {
    tokens: Vec<TokenRow>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TokenRow {
    name: String,
    role: TokenRole,
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl CommandReport for TokenListReport {
    fn text(&self) -> String {
        if self.tokens.is_empty() {
            return "there are no tokens beside that of the instance; 'rdd token create' creates one\n"
                .to_owned();
        }
        let header = ["NAME", "ROLE", "CREATED", "EXPIRES"].map(str::to_owned);
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let rows = self.tokens.iter().map(|token| {
            [
                token.name.clone(),
                token.role.name().to_owned(),
                time(token.created_at).unwrap_or_default(),
                time(token.expires_at).unwrap_or_else(|| "never".to_owned()),
            ]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        output::format_table(&rows)
    }

    fn names(&self) -> Vec<String> {
        self.tokens.iter().map(|token| token.name.clone()).collect()
    }
}

/// Lists the tokens.
pub(super) async fn run(client: Client, output: OutputArgs) -> Result<ExitCode> {
    let selected = ListParams::default().fields(&format!("type={TOKEN_SECRET_TYPE}"));
    let listed = secrets(client)
        .list(&selected)
        .await
        .context("cannot list the tokens")?;
    let mut tokens = Vec::new();
    for secret in &listed {
        match TokenRecord::from_secret(secret) {
            Ok(record) => tokens.push(TokenRow {
                name: record.name,
                role: record.role,
                created_at: record.created_at,
                expires_at: record.expires_at,
            }),
            Err(error) => output::print_error(&format!(
                "Secret {:?} in namespace {:?} is no valid token: {error}; delete it with 'rdd ctl delete secret'",
                secret.name_any(),
                rdd_api::SYSTEM_NAMESPACE
            )),
        }
    }
    output.print(&TokenListReport { tokens })?;
    Ok(ExitCode::SUCCESS)
}
