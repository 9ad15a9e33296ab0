//! `/ws` from outside: real sockets on the real binary. What is pushed adds up to what queries show,
//! also through `kill -9`; books can be followed; and nobody who reads slowly, or sends nonsense, is
//! noticed by anybody else.

mod support;

mod websocket {
    mod accounts;
    mod books;
    mod candles;
    mod examples;
    mod flow;
    mod followers;
    mod messages;
    mod queries;
    mod slow_readers;
    mod subscriptions;
}
