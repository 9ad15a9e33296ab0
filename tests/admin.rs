//! `ringbook admin` from outside: the real binary against the real server. What a command says that it has
//! done is looked at by another way.

mod support;

mod admin {
    mod commands;
    mod failures;
    mod operator;
    mod terminal;
}
