//! A server in production, attacked from outside over real sockets: who is let in, who is not, and what
//! an attacker gets.
//!
//! Each attack here succeeds if its defence is taken out.

mod support;

mod security {
    mod completeness;
    mod credentials;
    mod floods;
    mod forge;
    mod frames;
    mod honest;
    mod matrix;
    mod messages;
    mod others;
    mod permissions;
    mod rates;
    mod routes;
    mod smuggling;
    mod stand;
    mod tokens;
}
