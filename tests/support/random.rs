//! Random numbers from a seed that is printed, so that a failure can be repeated.

/// SplitMix64: small, and good enough to choose what a test does.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The numbers of this seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// Another sequence of the same seed, for another thread.
    pub fn fork(&self, number: u64) -> Random {
        Random { state: self.state ^ (number + 1).wrapping_mul(0xA076_1D64_78BD_642F) }
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Whether something with a chance of `percent` in a hundred happens.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The seed of a test: that of the environment variable, or a new one. Printed, with the command
/// that repeats the test: the harness shows it when the test fails.
pub fn seed(variable: &str, test_file: &str) -> u64 {
    let given = std::env::var(variable).ok();
    let seed = match &given {
        Some(text) => text.parse().unwrap_or_else(|_| panic!("{variable}: not a number: {text}")),
        None => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            now.expect("after 1970").as_nanos() as u64
        }
    };
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    println!(
        "seed {seed}; repeat with: {variable}={seed} cargo test --profile ci --test {test_file} \
         {test} -- --exact --nocapture"
    );
    seed
}
