//! Event streams, the limits on connections, and the list of them, from outside: real sockets on the
//! real binary.

mod support;

mod streams {
    mod client;
    mod limits;
    mod many;
    mod resume;
    mod sessions;
    mod unread;
}
