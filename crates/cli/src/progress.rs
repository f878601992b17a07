//! The progress bar on stderr, where a person may be looking.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use replix::Progress;
use replix::error::escaped;

/// Work that ends sooner shows no bar.
const PATIENCE: Duration = Duration::from_millis(400);

const COUNTED: &str = "{msg} [{wide_bar}] {bytes}/{total_bytes}, {bytes_per_sec}, {eta}";
const UNCOUNTED: &str = "{spinner} {msg} {bytes}";

/// A bar that appears once work takes longer than a moment and goes when it is dropped.
pub(crate) struct Bar {
    wanted: bool,
    begun: Instant,
    shown: Option<ProgressBar>,
    counted: bool,
}

impl Bar {
    /// Returns a bar; it never appears unless `wanted`, nor where stderr is no terminal.
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted,
            begun: Instant::now(),
            shown: None,
            counted: false,
        }
    }

    /// Shows how far the work is.
    pub(crate) fn show(&mut self, progress: &Progress) {
        if !self.wanted || self.begun.elapsed() < PATIENCE {
            return;
        }
        let bar = self.shown.get_or_insert_with(|| {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
                .with_style(style(UNCOUNTED))
                .with_elapsed(self.begun.elapsed())
        });
        if progress.total_bytes > 0 {
            if !self.counted {
                bar.set_style(style(COUNTED));
                self.counted = true;
            }
            bar.set_length(progress.total_bytes);
        }
        bar.set_message(escaped(&progress.phase));
        bar.set_position(progress.done_bytes);
        bar.tick();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_well_formed() {
        assert!(ProgressStyle::with_template(COUNTED).is_ok());
        assert!(ProgressStyle::with_template(UNCOUNTED).is_ok());
    }
}
