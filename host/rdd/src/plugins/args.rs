//! The arguments of `rdd plugin`.

use clap::{Args, Subcommand};

use super::build::BuildArgs;
use super::new::NewArgs;
use super::test::TestArgs;
use super::toy_engine::ToyEngineArgs;
use crate::output::OutputArgs;
use crate::plugin_dirs::PluginDirArgs;

/// The commands of `rdd plugin`.
#[derive(Subcommand)]
pub(crate) enum PluginCommand {
    /// List the installed backends and their state
    List {
        #[command(flatten)]
        plugin_dirs: PluginDirArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Show what a plugin is and what it asks for, without installing it
    Inspect(InspectArgs),
    /// Install or upgrade a plugin; a running daemon loads it within seconds
    Install(InstallArgs),
    /// Compare the installed plugins with their digests and the lock file; exit code 1 if one differs
    Verify(VerifyArgs),
    /// Load a plugin again that was disabled
    Enable(EnableArgs),
    /// Stop a plugin and do not load it again, without removing it
    Disable(NameArgs),
    /// Stop and remove an installed plugin
    #[command(visible_alias = "rm")]
    Remove(NameArgs),
    /// Publish a plugin to a registry
    Push(PushArgs),
    /// Write a new backend for the toy engine to a directory, to make your own of it
    New(NewArgs),
    /// Build the plugin of a project with the tools of its language
    Build(BuildArgs),
    /// Test whether a backend keeps the contract; exit code 1 if it does not
    Test(TestArgs),
    /// Run the toy engine, a container engine in memory for authors of backends, in the foreground
    ToyEngine(ToyEngineArgs),
}

/// What a plugin is read from.
#[derive(Args, Clone)]
pub(crate) struct SourceArgs {
    #[arg(
        value_name = "SOURCE",
        help = "A directory with plugin.toml, a component (.wasm), an OCI image layout (oci:DIR[:TAG]), or a reference (registry/name:tag)"
    )]
    pub(super) source: String,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
}

/// How a registry is reached.
#[derive(Args, Clone, Copy)]
pub(crate) struct RegistryArgs {
    /// Use the registry without encryption; registries on this machine always are
    #[arg(long)]
    pub(super) plain_http: bool,
}

/// Arguments of `inspect`.
#[derive(Args)]
pub(crate) struct InspectArgs {
    /// The name of an installed plugin, or what `install` accepts
    #[arg(value_name = "SOURCE|NAME")]
    pub(super) source: String,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) plugin_dirs: PluginDirArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `install`.
#[derive(Args)]
pub(crate) struct InstallArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Install without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Allow a dynamic library, which runs outside of the sandbox with all rights of the daemon
    #[arg(long)]
    pub(super) allow_native: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `verify`.
#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// Name of the plugin [default: all]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) plugin_dirs: PluginDirArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `enable`.
#[derive(Args)]
pub(crate) struct EnableArgs {
    /// Name of the plugin
    pub(super) name: String,
    /// Allow a dynamic library, which runs outside of the sandbox with all rights of the daemon
    #[arg(long)]
    pub(super) allow_native: bool,
    #[command(flatten)]
    pub(super) plugin_dirs: PluginDirArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `disable` and `remove`.
#[derive(Args)]
pub(crate) struct NameArgs {
    /// Name of the plugin
    pub(super) name: String,
    #[command(flatten)]
    pub(super) plugin_dirs: PluginDirArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `push`.
#[derive(Args)]
pub(crate) struct PushArgs {
    /// A directory with plugin.toml, or a component (.wasm)
    #[arg(value_name = "PATH")]
    pub(super) path: std::path::PathBuf,
    /// What to publish it as: registry/name:tag
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: String,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}
