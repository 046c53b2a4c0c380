//! From what a person types to a container's full ID.

use anyhow::{Context as _, Result, bail};
use kube::api::{Api, ListParams};
use rdd_api::Container;

/// How many candidates an ambiguous prefix is answered with.
const SHOWN: usize = 5;

/// The ID of the container of this name, of this ID, or whose ID alone begins so.
pub(crate) async fn container(client: kube::Client, text: &str) -> Result<String> {
    let containers: Api<Container> = Api::all(client);
    let list = containers
        .list(&ListParams::default())
        .await
        .context("cannot list the containers")?;
    let known: Vec<(String, String)> = list
        .items
        .into_iter()
        .filter_map(|container| {
            let name = container
                .status
                .as_ref()
                .map(|status| status.name.clone())
                .unwrap_or_default();
            Some((container.metadata.name?, name))
        })
        .collect();
    choose(&known, text).map(str::to_owned)
}

/// A name wins over a prefix, as with docker.
fn choose<'a>(known: &'a [(String, String)], text: &str) -> Result<&'a str> {
    let exact = |(id, name): &&(String, String)| id == text || name == text.trim_start_matches('/');
    if let Some((id, _)) = known.iter().find(exact) {
        return Ok(id);
    }
    let matches: Vec<_> = known
        .iter()
        .filter(|(id, _)| !text.is_empty() && id.starts_with(text))
        .collect();
    match matches.as_slice() {
        [(id, _)] => Ok(id),
        [] => bail!("no container {text:?}; 'rdd ctl get containers -A' lists them"),
        many => {
            let shown: Vec<_> = many
                .iter()
                .take(SHOWN)
                .map(|(id, name)| format!("{id} ({name})"))
                .collect();
            let more = if many.len() > SHOWN { ", …" } else { "" };
            bail!(
                "{text:?} begins the IDs of {} containers: {}{more}; give more of it, or a name",
                many.len(),
                shown.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_wins_then_an_id_then_a_prefix_that_fits_one() {
        let known = [("aa11", "web"), ("aa22", "db"), ("bb33", "aa")]
            .map(|(id, name)| (id.to_owned(), name.to_owned()));
        for (text, id) in [
            ("web", "aa11"),
            ("/web", "aa11"),
            ("aa22", "aa22"),
            ("aa2", "aa22"),
            ("b", "bb33"),
            ("aa", "bb33"),
        ] {
            assert_eq!(choose(&known, text).unwrap(), id, "{text}");
        }
        let error = choose(&known, "a").unwrap_err().to_string();
        assert!(
            error.contains("aa11 (web)") && error.contains("aa22 (db)"),
            "{error}"
        );
        assert!(choose(&known, "zz").is_err());
        assert!(choose(&known, "").is_err());
    }
}
