//! What measured shards say about machines with more cores.
//!
//! The universal scalability law: N shards do N / (1 + σ(N−1) + κN(N−1)) times what one does. σ is what
//! does not divide, κ what each pair of shards costs each other. With the cost of an order in CPU,
//! C(N) = C(1) · (1 + σ(N−1) + κN(N−1)), so both follow from measured costs by linear least squares.
//!
//! Beside it a model of what crossing does here: of N shards, an order's symbol is on another shard than
//! its user with probability (N−1)/N, whatever N is, so C(N) = a + b(N−1)/N; a and b are fitted to the share
//! that the server counted. It is bounded where the law is not; between both lies what to expect.

/// Shards, and what an order costs with so many: any unit.
pub type Cost = (f64, f64);

/// The law, fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usl {
    /// What an order costs with one shard.
    pub alone: f64,
    /// Contention, at least 0.
    pub sigma: f64,
    /// Coherence, at least 0.
    pub kappa: f64,
}

/// Least squares of y = p·u + q·v, neither below 0.
fn fit_two(rows: &[(f64, f64, f64)]) -> (f64, f64) {
    let sum = |term: fn(&(f64, f64, f64)) -> f64| rows.iter().map(term).sum::<f64>();
    let (uu, uv, vv) = (sum(|r| r.0 * r.0), sum(|r| r.0 * r.1), sum(|r| r.1 * r.1));
    let (uy, vy) = (sum(|r| r.0 * r.2), sum(|r| r.1 * r.2));
    let only = |square: f64, product: f64| (product / square.max(f64::MIN_POSITIVE)).max(0.0);
    let determinant = uu * vv - uv * uv;
    if determinant.abs() <= f64::EPSILON * uu * vv {
        return (only(uu, uy), 0.0);
    }
    let (p, q) = ((uy * vv - vy * uv) / determinant, (vy * uu - uy * uv) / determinant);
    match (p < 0.0, q < 0.0) {
        (false, false) => (p, q),
        // On the border the other one alone is the best.
        (true, _) => (0.0, only(vv, vy)),
        (_, true) => (only(uu, uy), 0.0),
    }
}

impl Usl {
    /// Of costs, that with one shard among them.
    pub fn fit(costs: &[Cost]) -> Option<Usl> {
        let alone = costs.iter().find(|cost| cost.0 == 1.0)?.1;
        let rows: Vec<_> = costs
            .iter()
            .filter(|cost| cost.0 > 1.0)
            .map(|&(n, cost)| (n - 1.0, n * (n - 1.0), cost / alone - 1.0))
            .collect();
        let (sigma, kappa) = fit_two(&rows);
        (!rows.is_empty()).then_some(Usl { alone, sigma, kappa })
    }

    /// How many times what one shard does.
    pub fn speedup(self, shards: f64) -> f64 {
        shards / (1.0 + self.sigma * (shards - 1.0) + self.kappa * shards * (shards - 1.0))
    }
}

/// The model of crossing, fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    /// What an order costs that stays on its shard.
    pub local: f64,
    /// What it costs more when it crosses.
    pub more: f64,
}

impl Crossing {
    /// Of costs, each with the share of the orders that crossed.
    pub fn fit(costs: &[(f64, f64)]) -> Crossing {
        let rows: Vec<_> = costs.iter().map(|&(share, cost)| (1.0, share, cost)).collect();
        let (local, more) = fit_two(&rows);
        Crossing { local, more }
    }

    /// How many times what one shard does, with users and symbols spread evenly.
    pub fn speedup(self, shards: f64) -> f64 {
        shards * self.local / (self.local + self.more * (shards - 1.0) / shards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARDS: [f64; 4] = [1.0, 2.0, 4.0, 8.0];

    #[test]
    fn a_law_is_found_again_in_its_own_costs() {
        let (sigma, kappa) = (0.05, 0.002);
        let cost = |n: f64| (n, 10.0 * (1.0 + sigma * (n - 1.0) + kappa * n * (n - 1.0)));
        let usl = Usl::fit(&SHARDS.map(cost)).unwrap();
        assert!((usl.sigma - sigma).abs() < 1e-9 && (usl.kappa - kappa).abs() < 1e-9, "{usl:?}");
        assert!((usl.speedup(8.0) - 8.0 / (1.0 + 0.35 + 0.112)).abs() < 1e-9);
    }

    #[test]
    fn costs_that_do_not_grow_scale_without_limit_and_never_better() {
        let usl = Usl::fit(&SHARDS.map(|n| (n, 10.0 - n / 10.0))).unwrap();
        assert_eq!((usl.sigma, usl.kappa), (0.0, 0.0));
        assert_eq!(usl.speedup(64.0), 64.0);
    }

    #[test]
    fn crossing_is_found_again_in_its_own_costs() {
        let crossing =
            Crossing::fit(&[0.0, 0.5, 0.7, 0.9].map(|share| (share, 10.0 + 8.0 * share)));
        assert!((crossing.local - 10.0).abs() < 1e-9 && (crossing.more - 8.0).abs() < 1e-9);
        assert!((crossing.speedup(2.0) - 2.0 * 10.0 / 14.0).abs() < 1e-9);
    }

    #[test]
    fn without_the_cost_of_one_shard_there_is_no_law() {
        assert_eq!(Usl::fit(&[(2.0, 1.0), (4.0, 1.0)]), None);
        assert_eq!(Usl::fit(&[(1.0, 1.0)]), None);
    }
}
