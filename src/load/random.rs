//! Random numbers from a seed: the same seed, the same load.

/// SplitMix64 (Steele, Lea, Flood): a few instructions a number, and good enough to mix requests.
pub struct Random(u64);

impl Random {
    /// The numbers of this seed, for one of several threads.
    pub fn new(seed: u64, thread: u64) -> Random {
        Random(seed ^ (thread + 1).wrapping_mul(0xA076_1D64_78BD_642F))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}
