// SPDX-License-Identifier: GPL-2.0

//! What adjunct processors (AP) are, without a kernel.
//!
//! The numbers, masks, sets and rules of the field as plain values: who may own which queue, what
//! may be passed to a guest, what a response code means, and how the attributes spell all that.
//! Nothing here talks to hardware, takes a lock, allocates or panics; only `core` is used, so that
//! the same files can be compiled and tested outside of a kernel.
//!
//! Locking is the caller's: every type is an ordinary value, changed through `&mut`.

pub mod aqic;
pub mod dirty;
pub mod guest;
pub mod host;
pub mod id;
pub mod mask;
pub mod matrix;
pub mod migration;
pub mod ownership;
pub mod quiesce;
pub mod status;
pub mod table;
pub mod text;

pub use self::{
    aqic::{
        AqicControl,
        AqicRequest,
        FunctionCode,
        GisaOrigin,
        Isc,
        Nib,
        PqapGr0,
        UnknownFunctionCode, //
    },
    dirty::DirtyPages,
    guest::{
        GuestMatrix,
        PassableTable, //
    },
    host::HostConfig,
    id::{
        Apid,
        Apqi,
        Apqn,
        DomainId,
        Limits,
        OutOfRange, //
    },
    mask::Mask256,
    matrix::{
        ApqnSet,
        Matrix, //
    },
    ownership::{
        Conflict,
        OwnerId,
        OwnerRows,
        OwnershipTable, //
    },
    quiesce::{
        DisableVerdict,
        EnableVerdict,
        IrqDisable,
        Next,
        Orphan,
        Reset,
        ResetOutcome, //
    },
    status::{
        ResponseCode,
        StatusWord,
        UnknownResponseCode, //
    },
    table::{
        AdapterRows,
        ApqnTable, //
    },
    text::{
        ConfigError,
        NumberError,
        Page,
        Ranges, //
    },
};
