//! The fuzzer's bytes as changes to something valid: so it reaches what stands behind the first
//! check, where bytes of its own would hardly ever get.

use arbitrary::{Arbitrary, Unstructured};

/// A change somewhere in a file. Places are taken modulo its length.
#[derive(Debug, Arbitrary)]
enum Edit {
    Flip { at: u32, bits: u8 },
    Write { at: u32, bytes: [u8; 4] },
    Number { at: u32, bytes: [u8; 8] },
    Fill { at: u32, length: u16, with: u8 },
    Copy { from: u32, to: u32, length: u16 },
    Insert { at: u32, bytes: Vec<u8> },
    Remove { at: u32, length: u16 },
    Truncate { at: u32 },
}

/// At most so many: more of them only make noise.
const MAX_EDITS: usize = 32;

/// As many edits as the bytes tell.
fn edits(script: &[u8]) -> Vec<Edit> {
    let mut script = Unstructured::new(script);
    let mut edits = Vec::new();
    while !script.is_empty() && edits.len() < MAX_EDITS {
        edits.extend(script.arbitrary::<Edit>());
    }
    edits
}

/// The valid bytes with all edits made that the script tells.
pub(crate) fn edited(valid: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for edit in edits(script) {
        if bytes.is_empty() {
            break;
        }
        apply(&mut bytes, &edit);
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit) {
    let total = bytes.len();
    let place = |at: u32| at as usize % total;
    let end = |at: usize, length: usize| (at + length).min(total);
    match edit {
        Edit::Flip { at, bits } => bytes[place(*at)] ^= bits,
        Edit::Write { at, bytes: new } => write(bytes, place(*at), new),
        Edit::Number { at, bytes: new } => write(bytes, place(*at), new),
        Edit::Fill { at, length, with } => {
            let at = place(*at);
            bytes[at..end(at, usize::from(*length))].fill(*with);
        }
        Edit::Copy { from, to, length } => {
            let from = place(*from);
            let copy = bytes[from..end(from, usize::from(*length))].to_vec();
            write(bytes, place(*to), &copy);
        }
        Edit::Insert { at, bytes: new } => {
            let at = place(*at);
            bytes.splice(at..at, new.iter().copied());
        }
        Edit::Remove { at, length } => {
            let at = place(*at);
            bytes.drain(at..end(at, usize::from(*length)));
        }
        Edit::Truncate { at } => bytes.truncate(place(*at)),
    }
}

/// Over what is there, as far as it reaches.
fn write(bytes: &mut [u8], at: usize, new: &[u8]) {
    let room = new.len().min(bytes.len() - at);
    bytes[at..at + room].copy_from_slice(&new[..room]);
}
