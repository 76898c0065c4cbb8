//! `cargo bench -p synod-micro`: time, and beside it what is allocated.

use divan::{AllocProfiler, Bencher, counter::ItemsCount};
use synod_micro::{Kind, Part};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = Kind::ALL.map(Kind::word))]
fn part(bencher: Bencher<'_, '_>, word: &str) {
    let kind = Kind::ALL.into_iter().find(|kind| kind.word() == word);
    let kind = kind.expect("every word is one of these kinds'");
    let mut part = Part::new(kind).expect("a part that is made here works");
    bencher
        .counter(ItemsCount::new(kind.commands()))
        .bench_local(|| part.act().expect("and goes on to work"));
}
