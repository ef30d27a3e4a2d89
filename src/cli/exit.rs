//! Exit codes. Denied and failed differ, so that a script never takes one for the other.

use std::process::ExitCode;

/// How the program ends; of several files, the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: yes, or done.
    Yes,
    /// 1: no: denied, a test failed, a schema has problems, validation found damage.
    No,
    /// 2: the command line cannot be understood.
    Usage,
    /// 3: failed: there is no answer; nothing was changed, unless the message says that this is not known.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::Usage => 2,
            Exit::Failed => 3,
        })
    }
}
