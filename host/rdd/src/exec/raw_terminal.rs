//! The terminal in raw mode: each key goes to the process, and nothing is echoed
//! or translated here.
//!
//! The crates for terminals (crossterm, console) bring event loops and styles of
//! their own for the two calls that are needed.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, Once, PoisonError};

use anyhow::{Context as _, Result};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

/// The mode before, while the terminal is raw.
static SAVED_MODE: Mutex<Option<Termios>> = Mutex::new(None);

static PANIC_HOOK: Once = Once::new();

/// The terminal of standard input in raw mode. It is restored on drop, and before
/// the message of a panic is printed.
pub(super) struct RawTerminal(());

impl RawTerminal {
    /// Makes the terminal raw.
    ///
    /// # Errors
    ///
    /// Fails if standard input is no terminal.
    pub(super) fn enter() -> Result<Self> {
        let mode = tcgetattr(io::stdin()).context("cannot read the mode of the terminal")?;
        let mut raw = mode.clone();
        raw.make_raw();
        PANIC_HOOK.call_once(|| {
            let hook = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                hook(info);
            }));
        });
        *lock() = Some(mode);
        // From here on, also an error restores the mode.
        let terminal = Self(());
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)
            .context("cannot set the mode of the terminal")?;
        Ok(terminal)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if let Some(mode) = lock().take() {
        // A terminal that is gone needs no mode.
        tcsetattr(io::stdin(), OptionalActions::Now, &mode).ok();
    }
}

fn lock() -> std::sync::MutexGuard<'static, Option<Termios>> {
    SAVED_MODE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the columns and rows of the terminal of standard output, or else of
/// standard input. `None` if neither is a terminal that has a size.
pub(super) fn window_size() -> Option<(u16, u16)> {
    let size = if io::stdout().is_terminal() {
        tcgetwinsize(io::stdout())
    } else {
        tcgetwinsize(io::stdin())
    };
    size.ok()
        .map(|size| (size.ws_col, size.ws_row))
        .filter(|&(columns, rows)| columns > 0 && rows > 0)
}
