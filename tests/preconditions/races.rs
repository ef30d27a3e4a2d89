//! Many writers at once: a precondition is true of the very state that its write is made on.

use super::world::{World, failed, refusal};

const THREADS: usize = 16;
const ROUNDS: usize = 20;

/// One thread each for 16 people who want the same studio; gives how many got it, and why the others did not.
fn race_for(world: &World, studio: usize, precondition: &str) -> (usize, Vec<String>) {
    let requests = (0..THREADS).map(|thread| {
        let write = format!("write studio:{studio}#owner@user:{thread}");
        world.request(&[&format!("require {precondition}"), &write])
    });
    let (won, lost): (Vec<_>, Vec<_>) = world.race(requests.collect()).into_iter().partition(Result::is_ok);
    (won.len(), lost.into_iter().map(|result| failed(refusal(result))).collect())
}

#[test]
fn of_many_who_want_to_be_the_one_owner_exactly_one_wins() {
    let world = World::of("live-studio", &[]);
    for studio in 0..ROUNDS {
        let free = format!("at-most 0 studio:{studio}#owner");
        let (won, lost) = race_for(&world, studio, &free);
        assert_eq!(won, 1);
        assert_eq!(lost, vec![free; THREADS - 1]);
        assert_eq!(world.tuples(&format!("studio:{studio}#owner")).len(), 1);
    }
}

#[test]
fn of_many_who_saw_the_same_state_exactly_one_changes_it() {
    let world = World::of("live-studio", &["studio:0#viewer@user:vic"]);
    for studio in 0..ROUNDS {
        let token = world.accepts(&[&format!("write studio:{studio}#admin@user:ada")]);
        let (won, lost) = race_for(&world, studio, &format!("unchanged studio:{studio} since {token}"));
        assert_eq!((won, lost.len()), (1, THREADS - 1));
    }
}

#[test]
fn counts_up_to_five_let_exactly_five_in() {
    let world = World::of("live-studio", &[]);
    for studio in 0..ROUNDS {
        let (won, lost) = race_for(&world, studio, &format!("at-most 4 studio:{studio}#owner"));
        assert_eq!((won, lost.len()), (5, THREADS - 5));
        assert_eq!(world.tuples(&format!("studio:{studio}#owner")).len(), 5);
    }
}
