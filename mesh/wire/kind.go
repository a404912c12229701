package wire

import "strconv"

// kindNames are the names of the known kinds, for logs and as metric labels.
var kindNames = [...]string{
	KindHello:           "hello",
	KindRefuse:          "refuse",
	KindBeat:            "beat",
	KindTable:           "table",
	KindRows:            "rows",
	KindHold:            "hold",
	KindHeld:            "held",
	KindKicked:          "kicked",
	KindAdmitRequest:    "admit_request",
	KindAdmitted:        "admitted",
	KindExclude:         "exclude",
	KindSnapshotRequest: "snapshot_request",
	KindSnapshotChunk:   "snapshot_chunk",
	KindSnapshotAck:     "snapshot_ack",
	KindLookupRequest:   "lookup_request",
	KindLookupReply:     "lookup_reply",
	KindKickUser:        "kick_user",
	KindKickUserDone:    "kick_user_done",
	KindLeafDigests:     "leaf_digests",
	KindLeafRequest:     "leaf_request",
	KindLeafRows:        "leaf_rows",
	KindFlushProgress:   "flush_progress",
	KindFlushCancel:     "flush_cancel",
	KindLeaving:         "leaving",
	KindDelta:           "delta",
	KindPushPull:        "push_pull",
	KindGonePositions:   "gone_positions",
	KindLogRequest:      "log_request",
	KindLogPart:         "log_part",
	KindCounting:        "counting",
	KindWaiting:         "waiting",
	KindMeeting:         "meeting",
	KindMark:            "mark",
	KindKeyring:         "keyring",
	KindObservations:    "observations",
	KindLoads:           "loads",
	KindNames:           "names",
	KindQuestion:        "question",
	KindAnswerPart:      "answer_part",
	KindHistoryQuery:    "history_query",
	KindHistoryFound:    "history_found",
	KindAdminNote:       "admin_note",
	KindUserNote:        "user_note",
	KindLoginsNote:      "logins_note",
	KindTableNote:       "table_note",
	KindLapseNote:       "lapse_note",
}

// Kinds returns the known kinds.
func Kinds() (kinds []Kind) {
	for k, name := range kindNames {
		if name != "" {
			kinds = append(kinds, Kind(k))
		}
	}
	return kinds
}

// String returns the kind's name, or "kind_N" for a kind that is not known.
func (k Kind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return "kind_" + strconv.Itoa(int(k))
}

// newMessage returns an empty message of the kind, an Unknown for a later kind of a log, and nil
// for any other kind that is not known.
func newMessage(k Kind) body {
	switch k {
	case KindHello:
		return new(Hello)
	case KindRefuse:
		return new(Refuse)
	case KindBeat:
		return new(Beat)
	case KindTable:
		return new(Table)
	case KindRows:
		return new(Rows)
	case KindHold:
		return new(Hold)
	case KindHeld:
		return new(Held)
	case KindKicked:
		return new(Kicked)
	case KindAdmitRequest:
		return new(AdmitRequest)
	case KindAdmitted:
		return new(Admitted)
	case KindExclude:
		return new(Exclude)
	case KindSnapshotRequest:
		return new(SnapshotRequest)
	case KindSnapshotChunk:
		return new(SnapshotChunk)
	case KindSnapshotAck:
		return new(SnapshotAck)
	case KindLookupRequest:
		return new(LookupRequest)
	case KindLookupReply:
		return new(LookupReply)
	case KindKickUser:
		return new(KickUser)
	case KindKickUserDone:
		return new(KickUserDone)
	case KindLeafDigests:
		return new(LeafDigests)
	case KindLeafRequest:
		return new(LeafRequest)
	case KindLeafRows:
		return new(LeafRows)
	case KindFlushProgress:
		return new(FlushProgress)
	case KindFlushCancel:
		return new(FlushCancel)
	case KindLeaving:
		return new(Leaving)
	case KindDelta:
		return new(Delta)
	case KindPushPull:
		return new(PushPull)
	case KindGonePositions:
		return new(GonePositions)
	case KindLogRequest:
		return new(LogRequest)
	case KindLogPart:
		return new(LogPart)
	case KindCounting:
		return new(Counting)
	case KindWaiting:
		return new(Waiting)
	case KindMeeting:
		return new(Meeting)
	case KindMark:
		return new(Mark)
	case KindKeyring:
		return new(Keyring)
	case KindObservations:
		return new(Observations)
	case KindLoads:
		return new(Loads)
	case KindNames:
		return new(Names)
	case KindQuestion:
		return new(Question)
	case KindAnswerPart:
		return new(AnswerPart)
	case KindHistoryQuery:
		return new(HistoryQuery)
	case KindHistoryFound:
		return new(HistoryFound)
	case KindAdminNote:
		return new(AdminNote)
	case KindUserNote:
		return new(UserNote)
	case KindLoginsNote:
		return new(LoginsNote)
	case KindTableNote:
		return new(TableNote)
	case KindLapseNote:
		return new(LapseNote)
	}
	if k >= FirstLaterLog {
		return &Unknown{Number: k}
	}
	return nil
}

// The kind of each message.

func (*Hello) Kind() Kind           { return KindHello }
func (*Refuse) Kind() Kind          { return KindRefuse }
func (*Beat) Kind() Kind            { return KindBeat }
func (*Table) Kind() Kind           { return KindTable }
func (*Rows) Kind() Kind            { return KindRows }
func (*Hold) Kind() Kind            { return KindHold }
func (*Held) Kind() Kind            { return KindHeld }
func (*Kicked) Kind() Kind          { return KindKicked }
func (*AdmitRequest) Kind() Kind    { return KindAdmitRequest }
func (*Admitted) Kind() Kind        { return KindAdmitted }
func (*Exclude) Kind() Kind         { return KindExclude }
func (*SnapshotRequest) Kind() Kind { return KindSnapshotRequest }
func (*SnapshotChunk) Kind() Kind   { return KindSnapshotChunk }
func (*SnapshotAck) Kind() Kind     { return KindSnapshotAck }
func (*LookupRequest) Kind() Kind   { return KindLookupRequest }
func (*LookupReply) Kind() Kind     { return KindLookupReply }
func (*KickUser) Kind() Kind        { return KindKickUser }
func (*KickUserDone) Kind() Kind    { return KindKickUserDone }
func (*LeafDigests) Kind() Kind     { return KindLeafDigests }
func (*LeafRequest) Kind() Kind     { return KindLeafRequest }
func (*LeafRows) Kind() Kind        { return KindLeafRows }
func (*FlushProgress) Kind() Kind   { return KindFlushProgress }
func (*FlushCancel) Kind() Kind     { return KindFlushCancel }
func (*Leaving) Kind() Kind         { return KindLeaving }
func (*Delta) Kind() Kind           { return KindDelta }
func (*PushPull) Kind() Kind        { return KindPushPull }
func (*GonePositions) Kind() Kind   { return KindGonePositions }
func (*LogRequest) Kind() Kind      { return KindLogRequest }
func (*LogPart) Kind() Kind         { return KindLogPart }
func (*Counting) Kind() Kind        { return KindCounting }
func (*Waiting) Kind() Kind         { return KindWaiting }
func (*Meeting) Kind() Kind         { return KindMeeting }
func (*Mark) Kind() Kind            { return KindMark }
func (*Keyring) Kind() Kind         { return KindKeyring }
func (*Observations) Kind() Kind    { return KindObservations }
func (*Loads) Kind() Kind           { return KindLoads }
func (*Names) Kind() Kind           { return KindNames }
func (*Question) Kind() Kind        { return KindQuestion }
func (*AnswerPart) Kind() Kind      { return KindAnswerPart }
func (*HistoryQuery) Kind() Kind    { return KindHistoryQuery }
func (*HistoryFound) Kind() Kind    { return KindHistoryFound }
func (*AdminNote) Kind() Kind       { return KindAdminNote }
func (*UserNote) Kind() Kind        { return KindUserNote }
func (*LoginsNote) Kind() Kind      { return KindLoginsNote }
func (*TableNote) Kind() Kind       { return KindTableNote }
func (*LapseNote) Kind() Kind       { return KindLapseNote }
