from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class FutuRequest(_message.Message):
    __slots__ = ("proto_id", "body")
    PROTO_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    proto_id: int
    body: bytes
    def __init__(self, proto_id: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

class FutuResponse(_message.Message):
    __slots__ = ("ret_type", "ret_msg", "proto_id", "body")
    RET_TYPE_FIELD_NUMBER: _ClassVar[int]
    RET_MSG_FIELD_NUMBER: _ClassVar[int]
    PROTO_ID_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    ret_type: int
    ret_msg: str
    proto_id: int
    body: bytes
    def __init__(self, ret_type: _Optional[int] = ..., ret_msg: _Optional[str] = ..., proto_id: _Optional[int] = ..., body: _Optional[bytes] = ...) -> None: ...

class SubscribePushRequest(_message.Message):
    __slots__ = ("resume_from",)
    RESUME_FROM_FIELD_NUMBER: _ClassVar[int]
    resume_from: int
    def __init__(self, resume_from: _Optional[int] = ...) -> None: ...

class PushEvent(_message.Message):
    __slots__ = ("proto_id", "sec_key", "sub_type", "body", "event_type", "acc_id", "seq", "gap_from", "gap_to")
    PROTO_ID_FIELD_NUMBER: _ClassVar[int]
    SEC_KEY_FIELD_NUMBER: _ClassVar[int]
    SUB_TYPE_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    ACC_ID_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    GAP_FROM_FIELD_NUMBER: _ClassVar[int]
    GAP_TO_FIELD_NUMBER: _ClassVar[int]
    proto_id: int
    sec_key: str
    sub_type: int
    body: bytes
    event_type: str
    acc_id: int
    seq: int
    gap_from: int
    gap_to: int
    def __init__(self, proto_id: _Optional[int] = ..., sec_key: _Optional[str] = ..., sub_type: _Optional[int] = ..., body: _Optional[bytes] = ..., event_type: _Optional[str] = ..., acc_id: _Optional[int] = ..., seq: _Optional[int] = ..., gap_from: _Optional[int] = ..., gap_to: _Optional[int] = ...) -> None: ...
