//! One world: made on both sides, asked about, its differences told by their class.

use crate::answer::Refusal;
use crate::classify::{agrees, classify};
use crate::judge::Pair;
use crate::report::Report;
use crate::shrink::Difference;
use crate::side::Side;
use crate::world::{Question, World};

/// Asks about one world.
pub(crate) fn one(
    ours: &Side,
    peer: &Side,
    seed: u64,
    mut world: World,
    questions: &[Question],
    report: &mut Report,
) -> anyhow::Result<()> {
    let (with_us, with_peer) = loop {
        match (ours.prepare(&world)?, peer.prepare(&world)?) {
            (Ok(with_us), Ok(with_peer)) => break (with_us, with_peer),
            // The tool does not tell a schema from tuples, and does not look at conditions that nothing carries.
            _ if peer.is_tool() => return Ok(()),
            (Err(Refusal::Tuple(one, mine)), Err(Refusal::Tuple(two, theirs))) => {
                // Whichever comes first may be refused by one only; then the next round tells.
                let (at, message) = if one <= two { (one, mine) } else { (two, theirs) };
                if one != two {
                    report.refused(seed, &world, Some(at), one < two, &message);
                }
                world.tuples.remove(at);
            }
            (Err(Refusal::Tuple(at, message)), Ok(_)) => {
                report.refused(seed, &world, Some(at), true, &message);
                world.tuples.remove(at);
            }
            (Ok(_), Err(Refusal::Tuple(at, message))) => {
                report.refused(seed, &world, Some(at), false, &message);
                world.tuples.remove(at);
            }
            (Err(Refusal::Schema(_)), Err(Refusal::Schema(_))) => return Ok(()),
            (Err(Refusal::Schema(message)), _) => {
                report.refused(seed, &world, None, true, &message);
                return Ok(());
            }
            (_, Err(Refusal::Schema(message))) => {
                report.refused(seed, &world, None, false, &message);
                return Ok(());
            }
        }
    };
    report.worlds += 1;
    let pair = Pair { world: &world, ours: (ours, with_us), peer: (peer, with_peer) };
    for (question, (our_answer, peer_answer)) in questions.iter().zip(pair.ask(questions)?) {
        report.asked(&question.ask, &our_answer, &peer_answer);
        if agrees(&pair, question, &our_answer, &peer_answer)? {
            continue;
        }
        let class = classify(&pair, question, &our_answer, &peer_answer)?;
        let (world, question) = (world.clone(), question.clone());
        report.differs(seed, Difference { world, question, ours: our_answer, peer: peer_answer, class });
    }
    Ok(())
}
