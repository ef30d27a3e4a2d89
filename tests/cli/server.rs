use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};

use super::program::Place;

/// A server of a place's data directory; killed when it is dropped.
pub(super) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Waits until it listens.
    pub(super) fn start(place: &Place, options: &str) -> Server {
        let mut command = place.command(&format!("serve --listen 127.0.0.1:0 {options}"));
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find_map(|word| word.strip_suffix(',')).unwrap_or_default();
        assert!(url.starts_with("http://"), "{line}");
        Server { url: url.to_owned(), child }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Ends it as it is meant to be ended.
    pub(super) fn stop(mut self) {
        // The shell's own: a small system has no program of that name.
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// Ends it without a warning (SIGKILL).
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Most have ended by now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
