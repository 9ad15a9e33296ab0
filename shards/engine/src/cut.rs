//! The proof of conservation at one consistent cut through all shards.
//!
//! Chandy and Lamport's markers, over the same numbered channels as everything else: the registrar
//! counts its own balances and sends a marker to everyone; a shard that sees the first marker of a
//! cut counts its own and sends markers too; what arrives on a channel after the count and before
//! that channel's marker was in flight at the cut. Nothing stops for it.

use std::collections::BTreeMap;

use money::{AssetId, ShardId, Side, Units};

use crate::changing::Applied;
use crate::command::REGISTRAR;
use crate::effect::Effects;
use crate::engine::{Engine, Step};
use crate::message::{AssetTotals, Fill, MAX_REPORTED_ASSETS, Message, Ticket};
use crate::reply::{AssetProof, Origin, Refusal, Reply};

/// Proofs under way at the same time.
pub const MAX_CUTS: usize = 16;

/// This shard's part of a cut that is not complete yet.
#[derive(Debug)]
pub(crate) struct Cut {
    pub totals: Vec<AssetTotals>,
    /// By shard: its marker is still to come.
    pub waiting: Vec<bool>,
}

/// The registrar's collection of reports.
#[derive(Debug)]
pub(crate) struct Collection {
    pub origin: Option<Origin>,
    pub totals: Vec<AssetTotals>,
    /// Shards that have not reported all.
    pub missing: u16,
}

#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub open: BTreeMap<Ticket, Cut>,
    pub collections: BTreeMap<Ticket, Collection>,
}

impl Engine {
    pub(crate) fn prove(&mut self, origin: Option<Origin>, out: &mut Effects) -> Applied {
        if self.cuts.collections.len() >= MAX_CUTS {
            return Err(Refusal::Busy);
        }
        let ticket = self.pending.ticket();
        let missing = self.placement.shards();
        self.cuts.collections.insert(ticket, Collection { origin, totals: Vec::new(), missing });
        self.begin_cut(ticket, None, out);
        Ok(Step::Changed)
    }

    pub(crate) fn on_marker(&mut self, source: ShardId, ticket: Ticket, out: &mut Effects) {
        match self.cuts.open.get_mut(&ticket) {
            None => self.begin_cut(ticket, Some(source), out),
            Some(cut) => {
                cut.waiting[source.0 as usize] = false;
                self.end_cut_if_complete(ticket, out);
            }
        }
    }

    fn begin_cut(&mut self, ticket: Ticket, marked: Option<ShardId>, out: &mut Effects) {
        let totals = self.ledger.totals().into_iter().map(|totals| AssetTotals {
            deposits: totals.deposits,
            withdrawals: totals.withdrawals,
            avail: totals.avail,
            frozen: totals.frozen,
            fees: totals.fees,
            in_flight: 0,
        });
        let waiting = self.placement.all().map(|shard| shard != self.here && Some(shard) != marked);
        let cut = Cut { totals: totals.collect(), waiting: waiting.collect() };
        self.cuts.open.insert(ticket, cut);
        self.tell_peers(|| Message::Marker { ticket });
        self.end_cut_if_complete(ticket, out);
    }

    fn end_cut_if_complete(&mut self, ticket: Ticket, out: &mut Effects) {
        if self.cuts.open[&ticket].waiting.iter().any(|&waiting| waiting) {
            return;
        }
        let cut = self.cuts.open.remove(&ticket).expect("is open");
        let mut first = 0;
        loop {
            let end = cut.totals.len().min(first + MAX_REPORTED_ASSETS);
            let (totals, is_last) = (cut.totals[first..end].to_vec(), end == cut.totals.len());
            let first_asset = AssetId(first as u32);
            let report = Message::CutReport { ticket, first: first_asset, totals, is_last };
            self.deliver(REGISTRAR, report, out);
            if is_last {
                return;
            }
            first = end;
        }
    }

    pub(crate) fn on_cut_report(
        &mut self,
        ticket: Ticket,
        first: AssetId,
        totals: &[AssetTotals],
        is_last: bool,
        out: &mut Effects,
    ) {
        let Some(collection) = self.cuts.collections.get_mut(&ticket) else { return };
        let first = first.0 as usize;
        let longer = collection.totals.len().max(first + totals.len());
        collection.totals.resize(longer, AssetTotals::default());
        for (sum, part) in collection.totals[first..].iter_mut().zip(totals) {
            sum.deposits += part.deposits;
            sum.withdrawals += part.withdrawals;
            sum.avail += part.avail;
            sum.frozen += part.frozen;
            sum.fees += part.fees;
            sum.in_flight += part.in_flight;
        }
        collection.missing -= u16::from(is_last);
        if collection.missing > 0 {
            return;
        }
        let mut collection = self.cuts.collections.remove(&ticket).expect("is there");
        collection.totals.resize(self.registry.assets().len(), AssetTotals::default());
        let proofs = collection.totals.into_iter().enumerate();
        let proofs = proofs.map(|(id, totals)| AssetProof { asset: AssetId(id as u32), totals });
        if let Some(origin) = collection.origin {
            out.replies.push((origin, Reply::Proof(proofs.collect())));
        }
    }

    /// Counts a fill that was in flight at a cut.
    #[inline]
    pub(crate) fn observe_cuts(&mut self, source: ShardId, message: &Message) {
        if self.cuts.open.is_empty() {
            return;
        }
        let Message::Fill(fill) = message else { return };
        let (base, quote) = self.worth(fill);
        for cut in self.cuts.open.values_mut() {
            if cut.waiting[source.0 as usize] {
                for (asset, amount) in [base, quote] {
                    let at = asset.0 as usize;
                    if at >= cut.totals.len() {
                        cut.totals.resize(at + 1, AssetTotals::default());
                    }
                    cut.totals[at].in_flight += amount;
                }
            }
        }
    }

    /// What applying a fill changes at its home, per asset.
    fn worth(&self, fill: &Fill) -> ((AssetId, i128), (AssetId, i128)) {
        let entry = self.registry.symbol(fill.symbol).expect("of a fill");
        let signed = |units: Units| i128::try_from(units).expect("below the total of deposits");
        let base = signed(entry.scale.base(fill.qty));
        let notional = entry.scale.quote_floor(fill.price, fill.qty);
        let quote = signed(notional.expect("was counted when reserved"));
        let (base, quote) = match fill.side {
            Side::Buy => (base, -quote),
            Side::Sell => (-base, quote),
        };
        ((entry.spec.base, base), (entry.spec.quote, quote))
    }
}
