//! A timer that is exact to some microseconds: tokio's is to a millisecond, as long as ten answers take.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
use std::{os::fd::OwnedFd, time::Duration};

#[cfg(target_os = "linux")]
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// Waits for moments.
#[cfg(target_os = "linux")]
pub(crate) struct Timer(AsyncFd<OwnedFd>);

#[cfg(target_os = "linux")]
impl Timer {
    /// A timer of the kernel's.
    #[allow(
        deprecated,
        reason = "the new way is unsafe; this timer owns its descriptor, and closes it after tokio has let it go"
    )]
    pub(crate) fn new() -> io::Result<Timer> {
        let timer =
            timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Timer(AsyncFd::new(timer)?))
    }

    /// Until a moment has come.
    pub(crate) async fn wait_until(&self, moment: Instant) -> io::Result<()> {
        loop {
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            let none = Timespec::try_from(Duration::ZERO).map_err(io::Error::other)?;
            let value = Timespec::try_from(left).map_err(io::Error::other)?;
            // Setting it also takes back that it has fired.
            timerfd_settime(
                self.0.get_ref(),
                TimerfdTimerFlags::empty(),
                &Itimerspec { it_interval: none, it_value: value },
            )?;
            self.0.readable().await?.clear_ready();
        }
    }
}

/// Waits for moments, as exact as tokio's timer is.
#[cfg(not(target_os = "linux"))]
pub(crate) struct Timer;

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// Tokio's.
    pub(crate) fn new() -> io::Result<Timer> {
        Ok(Timer)
    }

    /// Until a moment has come.
    pub(crate) async fn wait_until(&self, moment: Instant) -> io::Result<()> {
        tokio::time::sleep_until(moment.into()).await;
        Ok(())
    }
}
