//! The saved inputs of the fuzz targets, for tests that need no fuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestError, TestRunner};

/// The number of mutated inputs: about a second of a debug build.
const MUTATIONS: u32 = 512;
/// The maximum number of mutations of one input.
const MAX_STEPS: usize = 6;
/// The maximum number of bytes that a mutation inserts.
const MAX_INSERTED: usize = 16;

/// A change of an input. Positions and lengths are relative to its length.
#[derive(Clone, Debug)]
enum MutationStep {
    Overwrite(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    Repeat(Index, Index),
    Truncate(Index),
    /// Inserts a part of another input.
    Splice(Index, Vec<u8>, Index, Index),
}

/// Passes each saved input of a fuzz target to `property`, then random mutations of
/// them. `property` panics if the input breaks it.
///
/// # Panics
///
/// Panics with the file or the smallest mutated input that broke the property, and
/// if there are no saved inputs.
#[expect(clippy::panic, reason = "a test helper fails its test by panicking")]
pub fn replay_corpus(target: &str, property: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let inputs = read_inputs(&corpus)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", corpus.display()));
    assert!(!inputs.is_empty(), "{} is empty", corpus.display());
    for (path, input) in &inputs {
        let replayed = catch_unwind(AssertUnwindSafe(|| property(input)));
        assert!(replayed.is_ok(), "{} breaks the property", path.display());
    }

    let inputs: Vec<_> = inputs.into_iter().map(|(_, input)| input).collect();
    let steps = prop::collection::vec(any_step(inputs.clone()), 1..=MAX_STEPS);
    let mutated = (select(inputs), steps).prop_map(|(input, steps)| mutate(input, steps));
    let config = Config {
        cases: MUTATIONS,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&mutated, |input| {
        property(&input);
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => panic!(
            "the input b\"{}\" breaks the property: {reason}; after the fix, save it in {}",
            input.escape_ascii(),
            corpus.display()
        ),
        Err(TestError::Abort(reason)) => panic!("no inputs could be made: {reason}"),
    }
}

/// Reads all files of a directory, in the order of their names.
fn read_inputs(dir: &Path) -> std::io::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut paths = std::fs::read_dir(dir)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    paths
        .into_iter()
        .map(|path| std::fs::read(&path).map(|input| (path, input)))
        .collect()
}

fn any_step(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = MutationStep> {
    let at = any::<Index>;
    let bytes = prop::collection::vec(any::<u8>(), 1..=MAX_INSERTED);
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| MutationStep::Overwrite(at, byte)),
        (at(), bytes).prop_map(|(at, bytes)| MutationStep::Insert(at, bytes)),
        (at(), at()).prop_map(|(from, to)| MutationStep::Remove(from, to)),
        (at(), at()).prop_map(|(from, to)| MutationStep::Repeat(from, to)),
        at().prop_map(MutationStep::Truncate),
        (at(), select(inputs), at(), at())
            .prop_map(|(at, other, from, to)| MutationStep::Splice(at, other, from, to)),
    ]
}

fn mutate(mut input: Vec<u8>, steps: Vec<MutationStep>) -> Vec<u8> {
    for step in steps {
        // The end is a position, too.
        let end = input.len() + 1;
        match step {
            MutationStep::Overwrite(at, byte) => {
                let at = at.index(end);
                if let Some(old) = input.get_mut(at) {
                    *old = byte;
                }
            }
            MutationStep::Insert(at, bytes) => insert(&mut input, at, &bytes),
            MutationStep::Remove(from, to) => {
                input.drain(range(&input, from, to));
            }
            MutationStep::Repeat(from, to) => {
                let part = input.get(range(&input, from, to)).map(<[u8]>::to_vec);
                insert(&mut input, to, &part.unwrap_or_default());
            }
            MutationStep::Truncate(at) => input.truncate(at.index(end)),
            MutationStep::Splice(at, other, from, to) => {
                let part = other.get(range(&other, from, to)).unwrap_or_default();
                insert(&mut input, at, part);
            }
        }
    }
    input
}

fn insert(input: &mut Vec<u8>, at: Index, bytes: &[u8]) {
    let at = at.index(input.len() + 1);
    input.splice(at..at, bytes.iter().copied());
}

fn range(input: &[u8], from: Index, to: Index) -> std::ops::Range<usize> {
    let (from, to) = (from.index(input.len() + 1), to.index(input.len() + 1));
    from.min(to)..from.max(to)
}
