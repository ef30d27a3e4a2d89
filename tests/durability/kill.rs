use anyhow::{Context as _, Result, ensure};
use rand::RngExt as _;

use super::directory;
use super::ledger::Ledger;
use super::process::{Process, Said, Upkeep};
use super::seed::{any_magnitude, choices, rounds};

const ROUNDS: usize = 20;
/// Acknowledgements waited for before the longest-lived process is killed.
const ACKNOWLEDGEMENTS_MAX: u64 = 400;

#[test]
fn kills_during_concurrent_writes_lose_nothing_acknowledged() -> Result<()> {
    let mut choices = choices("kills");
    let place = tempfile::tempdir()?;
    let dir = place.path().join("data");
    let mut ledger = Ledger::default();
    let rounds = rounds(ROUNDS);
    for round in 0..rounds {
        let upkeep = [Upkeep::None, Upkeep::Flush, Upkeep::None, Upkeep::Compact][round % 4];
        // With a small buffer RocksDB changes logs and writes tables by itself all the time.
        let buffer_bytes = if round % 3 == 0 { 64 << 20 } else { 128 << 10 };
        let mut process = Process::start(&dir, upkeep, buffer_bytes, [])?;
        // Every fifth is killed while it opens what the one before it left.
        let patience = if round % 5 == 4 { 0 } else { any_magnitude(&mut choices, ACKNOWLEDGEMENTS_MAX) };
        let mut heard = 0;
        while let Some(said) = process.hear()? {
            let is_opening = said == Said::Opening;
            heard += u64::from(matches!(said, Said::Acknowledged(..)));
            ledger.note(said).with_context(|| format!("round {round}"))?;
            if heard == patience && (heard > 0 || is_opening) {
                // Not to wait for anything: only so that the blow does not always fall on the same instruction.
                (0..choices.random_range(0..3_000_000_u64)).for_each(|_| std::hint::spin_loop());
                process.kill()?;
                heard += 1;
            }
        }
        ensure!(process.end()?.is_none(), "round {round} ended before it was killed");
        ensure!(ledger.refused == 0, "round {round} was refused a write");
        // Mostly a copy, so that the next process finds the directory as it was left.
        let checked = if round % 4 == 3 { dir.clone() } else { place.path().join(format!("copy-{round}")) };
        if checked != dir {
            directory::copy(&dir, &checked)?;
        }
        ledger.check(&checked).with_context(|| format!("round {round}"))?;
    }
    println!("kills: {rounds} rounds, {} acknowledged writes", ledger.acknowledged);
    ensure!(ledger.acknowledged > rounds * 10, "too few writes to prove anything: {}", ledger.acknowledged);
    Ok(())
}
