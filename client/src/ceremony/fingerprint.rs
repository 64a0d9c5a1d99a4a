//! What people read to each other over the telephone: the digest of a file as words that can be pronounced, in the
//! alphabet of proquints (arXiv:0901.4016): five letters for 16 bits.
use touchmark_tuf::Sha256Digest;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aiou";
/// 128 bits: nobody finds another file with the same words.
const BYTES: usize = 16;
/// The shortest beginning of the hex form that counts.
const HEX: usize = 32;

/// Eight words for the first 128 bits.
#[must_use]
pub fn words(digest: &Sha256Digest) -> String {
    let pairs = digest.as_bytes().chunks_exact(2).take(BYTES / 2);
    pairs
        .map(|pair| word(pair.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte))))
        .collect::<Vec<_>>()
        .join("-")
}

/// Whether somebody means this digest: its words with any separators, or its hex form, all of it or at least the first
/// 32 digits.
#[must_use]
pub fn is_meant(written: &str, digest: &Sha256Digest) -> bool {
    let bare =
        |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let written = bare(written.trim().trim_start_matches("sha256:"));
    let hex = digest.to_string();
    written == bare(&words(digest)) || written.len() >= HEX && hex.starts_with(&written)
}

fn word(bits: u16) -> String {
    let letter = |alphabet: &[u8], shift: u16| {
        let at = usize::from(bits >> shift) % alphabet.len();
        alphabet.get(at).copied().map_or('?', char::from)
    };
    [
        letter(CONSONANTS, 12),
        letter(VOWELS, 10),
        letter(CONSONANTS, 6),
        letter(VOWELS, 4),
        letter(CONSONANTS, 0),
    ]
    .into_iter()
    .collect()
}

#[cfg(test)]
mod tests;
