//! The price levels of one side, in order.
//!
//! They are the leaves of a 64-ary trie with path compression: a node exists only where prices
//! differ, so nodes are fewer than levels and a lookup takes at most eleven steps, in practice two or
//! three, wherever in 64 bits the prices are. Far prices cost nothing to those who trade elsewhere.
//! A bitmap in each node leads to the next level. Levels are not linked to each other on purpose: in
//! a deep book that would touch two cold neighbours for each level that comes or goes.
//!
//! Inside, a level has a *key*: the price of a sell, the complement of the price of a buy. A smaller
//! key is a better price on either side, so one code serves both.

use money::{Price, Side};

use super::slab::{NONE, Slab};

/// Tells a node from a level in a [`Node`]'s children.
const NODE_BIT: u32 = 1 << 31;
/// Bits of a key that one node tells apart.
const DIGIT_BITS: u32 = 6;
const FANOUT: usize = 1 << DIGIT_BITS;

/// One price with its queue of orders.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Lots of all its orders.
    pub(super) qty: u128,
    pub(super) key: u64,
    /// The oldest order.
    pub(super) head: u32,
    /// The newest order.
    pub(super) tail: u32,
    /// How many orders.
    pub(super) orders: u32,
    /// The trie node that points here.
    parent: u32,
}

#[derive(Clone, Debug)]
struct Node {
    /// The key's bits above this node's digit; zero below.
    prefix: u64,
    /// Which children are there.
    present: u64,
    parent: u32,
    /// Where the digit begins in the key.
    shift: u32,
    /// Levels, or nodes with [`NODE_BIT`]. Meaningless where `present` has no bit.
    children: [u32; FANOUT],
}

/// All levels of one side.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    levels: Slab<Level>,
    nodes: Slab<Node>,
    /// A level, a node with [`NODE_BIT`], or [`NONE`].
    root: u32,
    best: u32,
    /// The key of `best`, here because every command asks for it.
    best_key: u64,
    /// Turns a price into a key and back.
    complement: u64,
}

/// Where a new level goes.
enum Place {
    /// A free child of this node.
    Free { node: u32 },
    /// Between this child and its parent, because they differ from `representative` on.
    Split { child: u32, representative: u64 },
}

impl Ladder {
    pub(super) fn new(side: Side) -> Ladder {
        let complement = match side {
            Side::Buy => u64::MAX,
            Side::Sell => 0,
        };
        Ladder {
            levels: Slab::new(),
            nodes: Slab::new(),
            root: NONE,
            best: NONE,
            best_key: u64::MAX,
            complement,
        }
    }

    /// The key of a price.
    #[inline]
    pub(super) fn key(&self, price: Price) -> u64 {
        price.0 ^ self.complement
    }

    /// The price of a key.
    #[inline]
    pub(super) fn price(&self, key: u64) -> Price {
        Price(key ^ self.complement)
    }

    /// The best level, or [`NONE`].
    #[inline]
    pub(super) fn best(&self) -> u32 {
        self.best
    }

    /// Whether the best level is at this key or better.
    #[inline]
    pub(super) fn reaches(&self, bound: u64) -> bool {
        self.best_key <= bound && self.best != NONE
    }

    #[inline]
    pub(super) fn level(&self, level: u32) -> &Level {
        &self.levels[level]
    }

    #[inline]
    pub(super) fn level_mut(&mut self, level: u32) -> &mut Level {
        &mut self.levels[level]
    }

    /// The levels from the best to the worst.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Level> {
        let mut at = self.best;
        std::iter::from_fn(move || {
            let level = (at != NONE).then(|| &self.levels[at])?;
            at = self.worse(at);
            Some(level)
        })
    }

    /// The next worse level, or [`NONE`].
    pub(super) fn worse(&self, level: u32) -> u32 {
        let Level { key, mut parent, .. } = self.levels[level];
        while parent != NONE {
            let node = &self.nodes[parent];
            let worse = node.present & (u64::MAX << digit(key, node.shift) << 1);
            if worse != 0 {
                return self.first(node.children[worse.trailing_zeros() as usize]);
            }
            parent = node.parent;
        }
        NONE
    }

    /// The level of this key, made if it is not there.
    #[inline]
    pub(super) fn find_or_insert(&mut self, key: u64) -> u32 {
        let mut child = self.root;
        if child == NONE {
            return self.insert_first(key);
        }
        while child & NODE_BIT != 0 {
            let node = &self.nodes[child ^ NODE_BIT];
            let digit = (key ^ node.prefix) >> node.shift;
            if digit >= FANOUT as u64 {
                let representative = node.prefix;
                return self.insert(key, Place::Split { child, representative });
            }
            if node.present >> digit & 1 == 0 {
                return self.insert(key, Place::Free { node: child ^ NODE_BIT });
            }
            child = node.children[digit as usize];
            if node.shift == 0 {
                // All bits agree: no need to wait for the level's own key from memory.
                return child;
            }
        }
        let representative = self.levels[child].key;
        if representative == key {
            return child;
        }
        self.insert(key, Place::Split { child, representative })
    }

    #[cold]
    fn insert_first(&mut self, key: u64) -> u32 {
        let level = self.levels.insert(Level::new(key, NONE));
        self.root = level;
        self.set_best(level);
        level
    }

    fn insert(&mut self, key: u64, place: Place) -> u32 {
        let node = match place {
            Place::Free { node } => node,
            Place::Split { child, representative } => self.split(key, child, representative),
        };
        let level = self.levels.insert(Level::new(key, node));
        if key < self.best_key {
            self.set_best(level);
        }
        let node = &mut self.nodes[node];
        let digit = digit(key, node.shift);
        node.present |= 1 << digit;
        node.children[digit] = level;
        level
    }

    /// Puts a node between `child` and its parent, there where `key` leaves `representative`, and
    /// returns it.
    fn split(&mut self, key: u64, child: u32, representative: u64) -> u32 {
        let top_bit = 63 - (key ^ representative).leading_zeros();
        let shift = top_bit / DIGIT_BITS * DIGIT_BITS;
        let parent = self.parent(child);
        let old_digit = digit(representative, shift);
        let mut node =
            Node { prefix: prefix(key, shift), present: 0, parent, shift, children: [0; FANOUT] };
        node.present = 1 << old_digit;
        node.children[old_digit] = child;
        let node = self.nodes.insert(node);
        self.set_parent(child, node);
        self.replace_child(parent, key, node | NODE_BIT);
        node
    }

    #[inline]
    fn set_best(&mut self, level: u32) {
        self.best = level;
        self.best_key = if level == NONE { u64::MAX } else { self.levels[level].key };
    }

    /// The level with the smallest key under a child.
    fn first(&self, mut child: u32) -> u32 {
        while child & NODE_BIT != 0 {
            let node = &self.nodes[child ^ NODE_BIT];
            child = node.children[node.present.trailing_zeros() as usize % FANOUT];
        }
        child
    }

    /// Takes an empty level out.
    pub(super) fn remove(&mut self, level: u32) {
        let Level { key, parent, .. } = self.levels[level];
        self.levels.remove(level);
        if parent == NONE {
            self.root = NONE;
            self.set_best(NONE);
            return;
        }
        let node = &mut self.nodes[parent];
        node.present &= !(1 << digit(key, node.shift));
        let present = node.present;
        if level == self.best {
            // Nothing is better, so what its node has left begins with the next one.
            let next = node.children[present.trailing_zeros() as usize % FANOUT];
            self.set_best(self.first(next));
        }
        if present.is_power_of_two() {
            self.collapse(parent, key);
        }
    }

    /// Takes out a node that has one child left and puts the child in its place.
    fn collapse(&mut self, node: u32, key: u64) {
        let Node { present, parent, ref children, .. } = self.nodes[node];
        let child = children[present.trailing_zeros() as usize % FANOUT];
        self.set_parent(child, parent);
        self.replace_child(parent, key, child);
        self.nodes.remove(node);
    }

    fn parent(&self, child: u32) -> u32 {
        if child & NODE_BIT != 0 {
            self.nodes[child ^ NODE_BIT].parent
        } else {
            self.levels[child].parent
        }
    }

    fn set_parent(&mut self, child: u32, parent: u32) {
        if child & NODE_BIT != 0 {
            self.nodes[child ^ NODE_BIT].parent = parent;
        } else {
            self.levels[child].parent = parent;
        }
    }

    /// Sets the child on the way to `key` of a node, or the root.
    fn replace_child(&mut self, parent: u32, key: u64, child: u32) {
        if parent == NONE {
            self.root = child;
            return;
        }
        let node = &mut self.nodes[parent];
        node.children[digit(key, node.shift)] = child;
    }
}

impl Level {
    fn new(key: u64, parent: u32) -> Level {
        Level { qty: 0, key, head: NONE, tail: NONE, orders: 0, parent }
    }
}

#[inline]
fn digit(key: u64, shift: u32) -> usize {
    (key >> shift) as usize % FANOUT
}

/// The bits of a key above the digit at `shift`. The topmost digit has none above.
#[inline]
fn prefix(key: u64, shift: u32) -> u64 {
    let above = shift + DIGIT_BITS;
    if above >= u64::BITS { 0 } else { key >> above << above }
}

#[doc(hidden)]
impl Ladder {
    /// Checks the trie and that walking and finding see the same levels. Returns how many.
    pub(super) fn check(&self) -> usize {
        let mut count = 0;
        let mut at = self.best;
        let mut better = None;
        while at != NONE {
            let key = self.levels[at].key;
            assert!(better.is_none_or(|better| better < key), "order of levels");
            assert_eq!(self.find(key), Some(at), "trie finds the level");
            (better, at, count) = (Some(key), self.worse(at), count + 1);
        }
        if self.best != NONE {
            assert_eq!(self.best_key, self.levels[self.best].key, "key of the best level");
        }
        assert_eq!(count, self.levels.len(), "levels in use");
        let mut nodes = 0;
        if self.root != NONE {
            assert_eq!(self.parent(self.root), NONE, "root has no parent");
            assert_eq!(self.check_child(self.root, &mut nodes), count, "levels in the trie");
        }
        assert_eq!(nodes, self.nodes.len(), "nodes in use");
        count
    }

    pub(super) fn find(&self, key: u64) -> Option<u32> {
        let mut child = self.root;
        while child != NONE && child & NODE_BIT != 0 {
            let node = &self.nodes[child ^ NODE_BIT];
            let digit = digit(key, node.shift);
            if prefix(key, node.shift) != node.prefix || node.present >> digit & 1 == 0 {
                return None;
            }
            child = node.children[digit];
        }
        (child != NONE && self.levels[child].key == key).then_some(child)
    }

    fn check_child(&self, child: u32, nodes: &mut usize) -> usize {
        if child & NODE_BIT == 0 {
            return 1;
        }
        *nodes += 1;
        let slot = child ^ NODE_BIT;
        let node = &self.nodes[slot];
        assert!(node.present.count_ones() >= 2, "a node tells at least two apart");
        let mut levels = 0;
        for at in (0..FANOUT).filter(|at| node.present >> at & 1 == 1) {
            assert_eq!(self.parent(node.children[at]), slot, "child knows its parent");
            levels += self.check_child(node.children[at], nodes);
        }
        levels
    }
}
