//! Random moments and places that a failed test can be run with again.

/// The variable that gives the seed of an earlier run.
const SEED: &str = "TOUCHMARK_SEED";

/// A small generator (xorshift64*): the same numbers for the same seed.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// From `TOUCHMARK_SEED`, else at random. The seed is printed.
    #[must_use]
    pub fn thrown(what: &str) -> Self {
        let given = std::env::var(SEED).ok().map(|seed| seed.parse().expect("a number in TOUCHMARK_SEED"));
        let seed = given.unwrap_or_else(|| {
            let mut bytes = [0; 4];
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).expect("random bytes");
            u64::from(u32::from_le_bytes(bytes)) + 1
        });
        crate::soak::say(&format!("{what}: {SEED}={seed}"));
        Self(seed)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end.max(1)
    }
}
