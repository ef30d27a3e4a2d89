//! Zanzibar's mix of requests: Read 62 %, Check 32 %, Expand 6 %, Write 0.2 %.

use std::sync::Arc;

use crate::bench::Bench;
use crate::check::{TUPLES, bodies, holds, judge_allowed, open_loop, world_data, write_body};
use crate::http::{Response, post};
use crate::load::{Questions, Verdict};
use crate::report::Line;
use crate::world::{Stream, Subject, World};

const ROW: &str = "mix";
/// Requests a second of one of Zanzibar's servers: ten million on ten thousand.
const ZANZIBAR_RATE: f64 = 1_000.0;
/// Whom the writes of this mix let view: behind the people of the data, as they are read.
const WRITER: &str = "zz-mix";

/// Requests of four kinds.
struct Mix {
    world: World,
    stream: Arc<crate::check::Bodies>,
    read: String,
    check: String,
    expand: String,
    write: String,
}

const READ: usize = 0;
const CHECK: usize = 1;
const EXPAND: usize = 2;
const WRITE: usize = 3;

impl Mix {
    fn stream(&self) -> &Stream {
        &self.stream.stream
    }
}

impl Questions for Mix {
    fn kind(&self, number: u64) -> usize {
        // A walk through 0 to 999 that mixes the kinds; 617 is coprime to 1000.
        match number.wrapping_mul(617) % 1_000 {
            0..2 => WRITE,
            2..62 => EXPAND,
            62..382 => CHECK,
            _ => READ,
        }
    }

    fn kinds(&self) -> &'static [&'static str] {
        &["read", "check", "expand", "write"]
    }

    fn write(&self, number: u64, request: &mut Vec<u8>) {
        let (question, _) = self.stream().get(number);
        let voice = question.voice;
        match self.kind(number) {
            WRITE => post(request, &self.write, write_body(WRITER, number, voice).as_bytes()),
            CHECK => {
                let body = format!(
                    "{{\"tuple_key\":{{\"user\":\"{}\",\"relation\":\"viewer\",\"object\":\"voice:{voice}\"}}}}",
                    question.subject.text()
                );
                post(request, &self.check, body.as_bytes());
            }
            kind => {
                let path = if kind == READ { &self.read } else { &self.expand };
                let body =
                    format!("{{\"tuple_key\":{{\"relation\":\"viewer\",\"object\":\"voice:{voice}\"}}}}");
                post(request, path, body.as_bytes());
            }
        }
    }

    fn judge(&self, number: u64, response: &Response<'_>) -> Verdict {
        if !response.is_success() {
            return Verdict::Failed;
        }
        let (question, allowed) = self.stream().get(number);
        match self.kind(number) {
            WRITE => Verdict::Right,
            CHECK => judge_allowed(response.body, allowed),
            _ => {
                // All viewers that were there from the beginning; the writes of this mix come on top.
                // A page of a read may end with those, before the groups.
                let is_right = (0..3).all(|number| {
                    let grant = self.world.grant(question.voice, number);
                    let is_behind = matches!(grant, Subject::UsersOf(_)) && holds(response.body, WRITER);
                    is_behind || holds(response.body, &format!("\"{}\"", grant.text()))
                });
                if is_right { Verdict::Right } else { Verdict::Wrong }
            }
        }
    }
}

/// The row.
pub(crate) fn mix(bench: &Bench) -> anyhow::Result<Vec<Line>> {
    let world = World::of_tuples(bench.tuples(TUPLES));
    let set = world_data(bench, world)?;
    let serving = bench.serve(&set, &[])?;
    let mix = Mix {
        world,
        stream: bodies(bench, world)?,
        read: serving.path("read"),
        check: serving.path("check"),
        expand: serving.path("expand"),
        write: serving.path("write"),
    };
    let load = bench.load(&serving.server, Arc::new(mix));
    let warm = load.closed(bench.warm_up())?;
    let closed = load.closed(bench.time())?;
    let what = format!(
        "read 62 %, check 32 %, expand 6 %, write 0.2 %, closed loop, {} connections",
        bench.connections
    );
    let mut lines = vec![
        Line::new(ROW, what, closed.rate(), "requests/s")
            .errors_of(&warm)
            .errors_of(&closed)
            .note(format!("{} tuples", set.tuples))
            .detail("latency", closed.percentiles()),
    ];
    lines.push(open_loop(bench, ROW, &load, closed.rate() * 0.5)?);
    lines.push(open_loop(bench, ROW, &load, ZANZIBAR_RATE.min(closed.rate() * 0.5))?);
    Ok(lines)
}
