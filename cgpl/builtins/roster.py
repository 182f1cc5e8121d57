"""Every built-in name that programs may use, with its arity and environment, whether anything implements it or not.

So that the checker knows them without a host, and that a program that uses a rare one still compiles: what nobody
implements answers NOT_SUPPORTED. Line form: `name least[-most]`, functions unless the list says procedures.
"""

from __future__ import annotations

from collections.abc import Iterable

from cgpl.builtins.core import CORE
from cgpl.builtins.table import Builtin, BuiltinTable, Environment, Kind

_CORE_FUNCTIONS = """
    ScopeVars 0 | AppToXML 2 | XMLToApp 1 | SystemInfo 1 | CryEncrypt 3 | CryDecrypt 3 | CrySign 3 | TOTPCode 1
    QRCode 1 | GenerateJWTToken 4 | SIPURIToEmail 1 | EmailToSIPURI 1 | PhoneNumberToSIPURI 1 | RouteAddress 2
    RouteENUM 3 | ReadEnvirFile 1 | ReadEnvirObject 1-2 | ReadSkinFile 1-2 | ReadSkinObject 1-3 | WSSPCompose 2-3
    GetApplicationStatus 0-1 | ExecuteCLI 1 | DoBalance 2 | Statistics 3 | BannerRead 2 | HTTPCall 2 | RADIUSCall 2
    CallHelper 2-3 | DirectorySearch 3 | DirectoryModify 3 | RunScript 1-3 | ReadFile 1 | WAVLastSilence 1-3
    SendPushNotifications 1 | StartPBXTask 3 | findContact 2 | messageFields 2

    MyDomain 0 | MyEmail 0 | GetAccountPreferences 1-2 | SetAccountPreferences 2-3 | GetPreference 1-2
    GetAccountSettings 1-2 | GetAccountInfo 1 | ApplicationSettings 2 | Impersonate 1-2 | ReadGroupMembers 1
    ReadTelnums 0-1 | UpdateAccountMailRule 1-2 | UpdateAccountSignalRule 1-2 | ReadRoster 0-1 | SetRoster 1-2
    DatasetList 3 | DatasetCreate 1 | DatasetRemove 2 | DatasetSet 4 | DatasetDelete 3 | DatasetListSubsets 1
    ReadCallInfo 0-1 | ReadCallLog 0-1

    ListMailboxes 1 | CreateMailbox 1-2 | RenameMailbox 3 | DeleteMailbox 2 | GetMailboxACLs 1 | SetMailboxACLs 2
    GetMailboxAliases 1 | SetMailboxAliases 2 | GetMailboxSubscription 1 | SetMailboxSubscription 2 | OpenMailbox 1
    OpenMailboxView 1 | MailboxUIDs 2 | IsMailboxNotifyEvent 1 | Sync 1 | MailboxInternalTimeByUID 2
    MailboxFlagsByUID 2 | MailboxOrigUIDByUID 2 | MailboxUIDByOrigUID 2 | MailboxSetFlags 3 | MailboxSetFlagsByUID 3
    MailboxExpunge 1 | MailboxAudioByUID 2 | MailboxRedirectByUID 3 | MailboxForwardByUID 3 | MailboxAppend 3
    MailboxCopy 3 | MailboxCopyByUID 3 | GetMessageAttr 2-3 | UpdateMessageAttr 3 | OpenMessage 2 | MessagePart 2
    MessageHeader 3 | MessageBody 2 | OpenCalendar 1 | ProcessCalendar 2 | SubmitEMail 2 | SendEMail 5
    SendInstantMessage 3 | SendXMPPIQ 3

    ReadStorageFile 1 | WriteStorageFile 2 | AppendStorageFile 2 | DeleteStorageFile 1 | RenameStorageFile 2
    CreateStorageDirectory 1 | RenameStorageDirectory 2 | DeleteStorageDirectory 1 | ListStorageFiles 1
    ReadStorageFileAttr 2 | WriteStorageFileAttr 2 | LockStorageFile 2 | ReadSiteFile 1 | WriteSiteFile 2
    AppendSiteFile 2 | DeleteSiteFile 1 | RenameSiteFile 2 | CreateSiteDirectory 1 | RenameSiteDirectory 2
    DeleteSiteDirectory 1 | ListSiteFiles 1

    ThisTask 0 | IsTask 1 | SendEvent 2-3 | ReadInput 1 | CreateMeeting 2-3 | ActivateMeeting 2-3
    DeactivateMeeting 2-3 | FindMeeting 2 | ClearMeeting 2 | RemoveMeeting 2 | Enqueue 1-3 | CheckQueue 1 | Dequeue 1
    ReadQueue 1
"""
_CORE_PROCEDURES = """
    SysProfile 1 | SetApplicationStatus 1 | StoreCDR 1 | UpdateStatistics 2 | SubscribeEvents 2
"""
_PBX_FUNCTIONS = """
    IsDisconnectEvent 1 | IsCallProvisionEvent 1 | IsCallCompletedEvent 1 | IsStartBridgeEvent 1
    IsBreakBridgeEvent 1 | IsStartTransferEvent 1 | IsCallTransferredEvent 1 | IsCallInfoEvent 1
    IsInstantMessageEvent 1 | IsXMPPIQEvent 1 | IsRegisterReportEvent 1

    AcceptCall 0 | ProvisionCall 1-2 | StartCall 1 | IsConnected 0 | IsHalfConnected 0 | IsBridged 0 | RemoteURI 0
    LocalURI 0 | IncomingRequestURI 0 | RemoteIPAddress 0 | RemoteAuthentication 0 | RemoteRealName 0
    RemoteRedirector 0 | MyNamedTaskName 0 | RouteLocalURI 1 | PendingRequestData 1 | PendingRequestExData 1
    TransferSupported 0 | TransferCall 1 | StartTransfer 1 | AcceptTransfer 1 | SendCallInfo 1 | SendCallOptions 1
    SendCallNotify 1 | SendCallRegister 1 | SignalOption 1-2 | SetTransferReportMode 1 | SetBridgedProvision 1
    SetForeignCredentials 2 | SetSecondaryForCall 0 | ProvisionCallEx 1 | UpdateProvisionedCall 1
    CallDialogDataEx 1 | SendCallInfoResponse 1 | SendDialogIM 1 | StartMixedCall 2 | StartTransferCall 2

    DTMF 0 | SetInterruptOnDTMF 1 | SendDTMF 1 | ReadDTMF 1 | WaitDTMF 1 | GetPlayPosition 0 | IsPlayCompleted 0
    GetPlayDuration 1 | Record 1 | RecordSilence 1 | MediaOption 1-2 | MediaChannelOption 2 | MixerDelay 1
    MixerJitter 1 | MixerThreshold 1

    StartBridge 1 | AcceptBridge 1 | RejectBridge 2 | BreakBridge 0 | AttachMixer 1 | DetachMixer 1 | MixerAttached 0
    StartBridgedCall 2
"""
_PBX_PROCEDURES = """
    RedirectCall 1 | ForkCall 1 | RejectCall 1 | SetCallParameters 1 | CancelCall 0 | Disconnect 0-2
    SetLocalContactParameter 2 | RejectTransfer 2 | SetReferMode 1 | SetBridgeBreakMode 1 | SetProvisionCode 1
    SetInterceptParams 1 | DisconnectEx 2

    ClearDTMF 0 | SetDTMFReadMode 1 | SetDTMFSendMode 1 | PlayFile 1-2 | Play 1-2 | PlayTone 2-4 | PlayFileInLoop 2
    PlayInLoop 2 | SetPlayPosition 1 | SetLocalHold 1 | ReleaseMediaChannel 0 | MuteMixer 2
"""
_WEB_FUNCTIONS = """
    GetHTTPParameter 1-2 | GetHTTPBinaryParameter 1-2 | GetHTTPField 1 | GetHTTPQuery 0 | GetHTTPResource 0
    GetHTTPMethod 0 | GetHTTPType 0 | GetHTTPSubtype 0 | GetHTTPData 0 | SendHTTPContinue 0 | SessionData 0
    ProxiedIPAddress 0 | LocalIPAddress 0
"""
_WEB_PROCEDURES = """
    SetHTTPResponseData 1 | SetHTTPResponseType 2 | SetHTTPResponseCode 1 | AddHTTPResponseField 2 | ProcessWSSP 2
"""
_SYNC_PROCEDURES = "SetResult 1 | syncDelay 1"


def _read(text: str, kind: Kind, environment: Environment) -> list[Builtin]:
    made: list[Builtin] = []
    for entry in text.replace("\n", "|").split("|"):
        if entry.strip():
            name, arity = entry.split()
            least, _, most = arity.partition("-")
            made.append(Builtin(name, kind, int(least), int(most or least), environment=environment))
    return made


def roster() -> list[Builtin]:
    """All the names that the core does not implement."""
    return [
        *_read(_CORE_FUNCTIONS, "F", "core"),
        *_read(_CORE_PROCEDURES, "P", "core"),
        *_read(_PBX_FUNCTIONS, "F", "pbx"),
        *_read(_PBX_PROCEDURES, "P", "pbx"),
        *_read(_WEB_FUNCTIONS, "F", "web"),
        *_read(_WEB_PROCEDURES, "P", "web"),
        *_read(_SYNC_PROCEDURES, "P", "sync"),
    ]


def table(environment: Environment = "core", implemented: Iterable[Builtin] = ()) -> BuiltinTable:
    """The core, the whole roster, and what a host implements, for programs of one environment."""
    return BuiltinTable([*roster(), *CORE, *implemented], environment)
