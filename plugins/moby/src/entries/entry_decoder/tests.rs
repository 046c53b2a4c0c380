//! Tests of the decoder.

use super::*;

type OwnedEntry = (i64, OutputSource, Vec<u8>, bool);

const OUT: OutputSource = OutputSource::Stdout;
const ERR: OutputSource = OutputSource::Stderr;

fn frame(source: u8, message: &[u8]) -> Vec<u8> {
    let mut frame = vec![source, 0, 0, 0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

fn decode(is_raw: bool, input: &[u8], piece: usize) -> Result<Vec<OwnedEntry>, Error> {
    let mut decoder = EntryDecoder::new(is_raw);
    let mut entries = Vec::new();
    let mut take = |entry: DecodedEntry<'_>| {
        entries.push((
            entry.time,
            entry.source,
            entry.bytes.to_vec(),
            entry.is_partial,
        ));
    };
    for piece in input.chunks(piece) {
        decoder.push(piece, &mut take)?;
    }
    decoder.finish(&mut take)?;
    Ok(entries)
}

#[test]
fn frames_are_entries_however_they_are_cut() {
    let mut input = frame(1, b"1970-01-01T00:00:01.000000002Z one\n");
    input.extend(frame(2, b"1970-01-01T00:00:01.000000002Z two"));
    input.extend(frame(2, b"1970-01-01T00:00:01.000000003Z three\n"));
    input.extend(frame(1, b"1970-01-01T00:00:02.000000000Z \n"));
    let expected: Vec<OwnedEntry> = vec![
        (1_000_000_002, OUT, b"one".to_vec(), false),
        (1_000_000_002, ERR, b"two".to_vec(), true),
        (1_000_000_003, ERR, b"three".to_vec(), false),
        (2_000_000_000, OUT, Vec::new(), false),
    ];
    for piece in 1..input.len() {
        assert_eq!(decode(false, &input, piece).unwrap(), expected, "{piece}");
    }
}

#[test]
fn a_time_that_a_program_wrote_with_a_space_is_content() {
    let text = "2026-01-31 12:00:00.000000001Z started\n";
    let mut input = frame(1, b"1970-01-01T00:00:01.000000002Z one\n");
    input.extend(frame(1, text.as_bytes()));
    let expected: Vec<OwnedEntry> = vec![
        (1_000_000_002, OUT, b"one".to_vec(), false),
        (1_000_000_002, OUT, text.trim_end().into(), false),
    ];
    assert_eq!(decode(false, &input, input.len()).unwrap(), expected);
}

#[test]
fn the_lines_of_a_terminal_are_entries_however_they_are_cut() {
    let input = b"1970-01-01T00:00:01.000000002Z one\r\n1970-01-01T00:00:01.000000003Z \x1b[1mtwo\nno time\n1970-01-01T00:00:02.000000000Z end";
    let expected: Vec<OwnedEntry> = vec![
        (1_000_000_002, OUT, b"one\r".to_vec(), false),
        (1_000_000_003, OUT, b"\x1b[1mtwo".to_vec(), false),
        (1_000_000_003, OUT, b"no time".to_vec(), false),
        (2_000_000_000, OUT, b"end".to_vec(), true),
    ];
    for piece in 1..input.len() {
        assert_eq!(decode(true, input, piece).unwrap(), expected, "{piece}");
    }
}

#[test]
fn a_long_message_is_divided_at_64_kib_wherever_it_is_cut() {
    for extra in [0, 1, 2, 70_000] {
        let content = vec![b'x'; MAX_CHUNK_BYTES + extra];
        let mut message = b"1970-01-01T00:00:01.000000002Z ".to_vec();
        message.extend(&content);
        message.push(b'\n');
        let whole = decode(false, &frame(1, &message), usize::MAX).unwrap();
        for piece in [1_000, 65_536, 65_575, 65_576, 65_577] {
            for (is_raw, input) in [(false, frame(1, &message)), (true, message.clone())] {
                let entries = decode(is_raw, &input, piece).unwrap();
                let joined: Vec<u8> = entries.iter().flat_map(|it| it.2.clone()).collect();
                assert_eq!(joined, content, "{extra} {piece}");
                let (last, parts) = entries.split_last().unwrap();
                assert!(!last.3);
                assert!(parts.iter().all(|it| it.3 && it.2.len() == MAX_CHUNK_BYTES));
                assert!(entries.iter().all(|it| it.0 == 1_000_000_002));
            }
        }
        // A message that is decoded at once is divided by the batcher.
        assert_eq!(whole.len(), 1);
    }
}

#[test]
fn an_error_message_and_an_invalid_frame_are_errors() {
    let error = decode(false, &frame(3, b"log driver failed\n"), 5).unwrap_err();
    assert!(
        error.message.contains("log driver failed"),
        "{}",
        error.message
    );
    let error = decode(false, &frame(3, b""), 5).unwrap_err();
    assert!(
        error.message.contains("cannot read the log"),
        "{}",
        error.message
    );
    let mut corrupt = frame(1, b"1970-01-01T00:00:01.000000002Z one\n");
    corrupt[2] = 1;
    let error = decode(false, &corrupt, 5).unwrap_err();
    assert!(error.message.contains("corrupt"), "{}", error.message);
    let error = decode(false, &frame(9, b"x"), 5).unwrap_err();
    assert!(
        error.message.contains("unknown source 9"),
        "{}",
        error.message
    );
    let mut cut = frame(1, b"1970-01-01T00:00:01.000000002Z one\n");
    cut.pop();
    let error = decode(false, &cut, 5).unwrap_err();
    assert!(
        error.message.contains("within a frame"),
        "{}",
        error.message
    );
}

#[test]
fn an_empty_frame_is_not_an_entry() {
    let mut input = frame(1, b"");
    input.extend(frame(1, b"1970-01-01T00:00:01.000000002Z one\n"));
    assert_eq!(decode(false, &input, 3).unwrap().len(), 1);
}
