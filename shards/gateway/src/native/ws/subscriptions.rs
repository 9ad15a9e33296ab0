//! What one connection has subscribed.

use super::channel::Channel;

/// Most subscriptions of one connection, the private ones among them.
pub const MAX_SUBSCRIPTIONS: usize = 1_024;

/// Why channels are not subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionError {
    /// It would be more than [`MAX_SUBSCRIPTIONS`].
    #[error("channels: a connection has at most {MAX_SUBSCRIPTIONS} subscriptions")]
    TooMany,
}

/// A set of channels, 8 bytes each; empty it costs no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions {
    /// In order, each once.
    channels: Vec<Channel>,
}

impl Subscriptions {
    /// Adds channels. Returns those that were not there, in order, each once: where to enter the
    /// connection.
    ///
    /// # Errors
    /// Too many; none is added.
    pub fn add(&mut self, channels: &[Channel]) -> Result<Vec<Channel>, SubscriptionError> {
        let mut added: Vec<Channel> =
            channels.iter().copied().filter(|channel| !self.contains(*channel)).collect();
        added.sort_unstable();
        added.dedup();
        if self.channels.len() + added.len() > MAX_SUBSCRIPTIONS {
            return Err(SubscriptionError::TooMany);
        }
        self.channels.extend_from_slice(&added);
        self.channels.sort_unstable();
        Ok(added)
    }

    /// Removes channels. Returns those that were there: where to strike the connection off.
    pub fn remove(&mut self, channels: &[Channel]) -> Vec<Channel> {
        let mut removed = Vec::new();
        for channel in channels {
            if let Ok(index) = self.channels.binary_search(channel) {
                removed.push(self.channels.remove(index));
            }
        }
        if self.channels.is_empty() {
            self.channels = Vec::new();
        }
        removed
    }

    /// Whether it holds a channel.
    pub fn contains(&self, channel: Channel) -> bool {
        self.channels.binary_search(&channel).is_ok()
    }

    /// All channels, in order: where to strike off a connection that ends.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use money::SymbolId;
    use proptest::prelude::*;

    use super::*;

    fn depths(count: u32) -> Vec<Channel> {
        (0..count).map(|symbol| Channel::Depth(SymbolId(symbol))).collect()
    }

    #[test]
    fn a_list_that_passes_the_limit_adds_nothing() {
        let mut subscriptions = Subscriptions::default();
        let most = MAX_SUBSCRIPTIONS as u32;
        assert_eq!(subscriptions.add(&depths(most - 1)).unwrap().len(), MAX_SUBSCRIPTIONS - 1);
        let error = subscriptions.add(&depths(most + 1)).unwrap_err();
        assert_eq!(error.to_string(), "channels: a connection has at most 1024 subscriptions");
        assert_eq!(subscriptions.channels().len(), MAX_SUBSCRIPTIONS - 1);
        assert_eq!(subscriptions.add(&depths(most)).unwrap(), depths(most)[most as usize - 1..]);
        assert_eq!(subscriptions.add(&depths(most)), Ok(Vec::new()));
    }

    #[test]
    fn a_channel_is_small() {
        assert_eq!(size_of::<Channel>(), 8);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0..9u32, 0..6)), 0..20)) {
            let (mut subscriptions, mut oracle) = (Subscriptions::default(), BTreeSet::new());
            for (adds, symbols) in steps {
                let channels: Vec<Channel> =
                    symbols.into_iter().map(|symbol| Channel::Bbo(SymbolId(symbol))).collect();
                let changed = match adds {
                    true => subscriptions.add(&channels).unwrap(),
                    false => subscriptions.remove(&channels),
                };
                let mut wanted = channels;
                wanted.retain(|&channel| if adds { oracle.insert(channel) } else { oracle.remove(&channel) });
                prop_assert_eq!(BTreeSet::from_iter(changed.iter()), BTreeSet::from_iter(wanted.iter()));
                prop_assert_eq!(changed.len(), wanted.len());
                prop_assert!(subscriptions.channels().iter().eq(&oracle));
            }
        }
    }
}
