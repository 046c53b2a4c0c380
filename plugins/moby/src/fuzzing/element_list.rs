//! The elements of a list.

use serde_json::Value;

use super::PiecePlan;
use crate::element_reader::ElementReader;

/// - However a document is divided, it has the same elements, or it is an error.
/// - A list that is a JSON document has the elements that `serde_json` finds.
pub fn element_list(data: &[u8]) {
    let Some((choice, plan, document)) = PiecePlan::split(data) else {
        return;
    };
    let key = (choice & 1 != 0).then_some("V");
    let whole = read(key, std::iter::once(document));
    assert_eq!(read(key, plan.pieces(document)), whole);
    let Ok(value) = serde_json::from_slice::<Value>(document) else {
        return;
    };
    let list = match key {
        None => Some(&value),
        // `Value` has the last one of two members with one name.
        Some(_) if document.iter().filter(|byte| b"V\\".contains(byte)).count() != 1 => return,
        Some(key) => value.get(key),
    };
    let expected = match list {
        Some(Value::Array(list)) => Ok(numbers(list)),
        Some(Value::Null) if key.is_some() => Ok(Vec::new()),
        _ => Err(Vec::new()),
    };
    assert_eq!(whole, expected);
}

/// Returns the elements, also those before an error.
fn read<'a>(
    key: Option<&'static str>,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<u32>, Vec<u32>> {
    let mut elements = ElementReader::new(key);
    let mut found = Vec::new();
    for piece in pieces.map(Some).chain([None]) {
        match piece {
            Some(piece) => elements.push(piece),
            None => elements.finish(),
        }
        loop {
            match elements.next() {
                Ok(Some(element)) => found.push(element),
                Ok(None) => break,
                Err(_) => return Err(found),
            }
        }
    }
    Ok(found)
}

fn numbers(list: &[Value]) -> Vec<u32> {
    list.iter()
        .filter_map(|value| u32::try_from(value.as_u64()?).ok())
        .collect()
}
