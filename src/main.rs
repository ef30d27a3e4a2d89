//! The `stonetown` program.

/// RocksDB's memory comes from it too: it takes the place of C's `malloc`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    stonetown::cli::run().into()
}
