"""The messages that are spoken here, as a table: what ``messages`` makes classes of.

One line a message: its name, then ``number type name`` for each field, separated by commas.
Types: ``s`` string, ``b`` bytes, ``?`` bool, ``i`` int64, ``n`` int32, ``u`` uint32, ``E`` an
enum (as int32, the same on the wire), ``T`` a timestamp, or a message's name; ``*`` before a
type: repeated, ``{}`` before it: a map from strings. A name with a dot is of another package.

Field numbers are those of BuildKit v0.24 (``api/services/control``, ``frontend/gateway/pb``,
``solver/pb``, ``session/*``), fsutil and containerd's content service; fields that nobody here
reads or writes are left out, and protobuf keeps what it doesn't know.
"""

# ruff: noqa: E501 (a row is a line)

from __future__ import annotations

from typing import Final

PACKAGES: Final[dict[str, str]] = {
    "pb": """
Platform 1 s Architecture, 2 s OS, 3 s Variant, 4 s OSVersion, 5 *s OSFeatures
Input 1 s digest, 2 i index
SourceOp 1 s identifier, 2 {}s attrs
Op 1 *Input inputs, 3 SourceOp source, 10 Platform platform
OpMetadata 1 ? ignore_cache, 2 {}s description, 5 {}? caps
Position 1 n line, 2 n character
Range 1 Position start, 2 Position end
Location 1 n sourceIndex, 2 *Range ranges
Locations 1 *Location locations
SourceInfo 1 s filename, 2 b data, 3 Definition definition, 4 s language
Source 1 {}Locations locations, 2 *SourceInfo infos
Definition 1 *b def, 2 {}OpMetadata metadata, 3 Source Source
ProgressGroup 1 s id, 2 s name, 3 ? weak
""",
    "google.rpc": """
Any 1 s type_url, 2 b value
Status 1 n code, 2 s message, 3 *Any details
""",
    "moby.buildkit.v1.types": """
BuildkitVersion 1 s package, 2 s version, 3 s revision, 4 s dockerfileVersion
GCPolicy 1 ? all, 2 i keepDuration, 4 *s filters, 3 i reservedSpace, 5 i maxUsedSpace, 6 i minFreeSpace
WorkerRecord 1 s ID, 2 {}s Labels, 3 *pb.Platform platforms, 4 *GCPolicy GCPolicy, 5 BuildkitVersion BuildkitVersion
""",
    "moby.buildkit.v1.apicaps": """
APICap 1 s ID, 2 ? Enabled, 3 ? Deprecated, 4 s DisabledReason, 5 s DisabledReasonMsg, 6 s DisabledAlternative
""",
    "moby.buildkit.v1": """
PruneRequest 1 *s filter, 2 ? all, 3 i keepDuration, 4 i reservedSpace, 5 i maxUsedSpace, 6 i minFreeSpace
DiskUsageRequest 1 *s filter, 2 i ageLimit
DiskUsageResponse 1 *UsageRecord record
UsageRecord 1 s ID, 2 ? Mutable, 3 ? InUse, 4 i Size, 5 s Parent, 6 T CreatedAt, 7 T LastUsedAt, 8 i UsageCount, 9 s Description, 10 s RecordType, 11 ? Shared, 12 *s Parents
CacheOptionsEntry 1 s Type, 2 {}s Attrs
CacheOptions 1 s ExportRefDeprecated, 2 *s ImportRefsDeprecated, 3 {}s ExportAttrsDeprecated, 4 *CacheOptionsEntry Exports, 5 *CacheOptionsEntry Imports
Exporter 1 s Type, 2 {}s Attrs
SolveRequest 1 s Ref, 2 pb.Definition Definition, 3 s ExporterDeprecated, 4 {}s ExporterAttrsDeprecated, 5 s Session, 6 s Frontend, 7 {}s FrontendAttrs, 8 CacheOptions Cache, 9 *s Entitlements, 10 {}pb.Definition FrontendInputs, 11 ? Internal, 12 b SourcePolicy, 13 *Exporter Exporters, 14 ? EnableSessionExporter, 15 s SourcePolicySession
SolveResponse 1 {}s ExporterResponse
StatusRequest 1 s Ref
StatusResponse 1 *Vertex vertexes, 2 *VertexStatus statuses, 3 *VertexLog logs, 4 *VertexWarning warnings
Vertex 1 s digest, 2 *s inputs, 3 s name, 4 ? cached, 5 T started, 6 T completed, 7 s error, 8 pb.ProgressGroup progressGroup
VertexStatus 1 s ID, 2 s vertex, 3 s name, 4 i current, 5 i total, 6 T timestamp, 7 T started, 8 T completed
VertexLog 1 s vertex, 2 T timestamp, 3 i stream, 4 b msg
VertexWarning 1 s vertex, 2 i level, 3 b short, 4 *b detail, 5 s url, 6 pb.SourceInfo info, 7 *pb.Range ranges
BytesMessage 1 b data
ListWorkersRequest 1 *s filter
ListWorkersResponse 1 *moby.buildkit.v1.types.WorkerRecord record
InfoRequest
InfoResponse 1 moby.buildkit.v1.types.BuildkitVersion buildkitVersion
BuildHistoryRequest 1 ? ActiveOnly, 2 s Ref, 3 ? EarlyExit, 4 *s Filter, 5 n Limit
BuildHistoryEvent 1 E type, 2 BuildHistoryRecord record
Descriptor 1 s media_type, 2 s digest, 3 i size, 5 {}s annotations
BuildResultInfo 1 Descriptor ResultDeprecated, 2 *Descriptor Attestations, 3 {i}Descriptor Results
BuildHistoryRecord 1 s Ref, 2 s Frontend, 3 {}s FrontendAttrs, 4 *Exporter Exporters, 5 google.rpc.Status error, 6 T CreatedAt, 7 T CompletedAt, 8 Descriptor logs, 9 {}s ExporterResponse, 10 BuildResultInfo Result, 11 {}BuildResultInfo Results, 12 n Generation, 13 Descriptor trace, 14 ? pinned, 15 n numCachedSteps, 16 n numTotalSteps, 17 n numCompletedSteps, 18 Descriptor externalError, 19 n numWarnings
UpdateBuildHistoryRequest 1 s Ref, 2 ? Pinned, 3 ? Delete, 4 ? Finalize
UpdateBuildHistoryResponse
""",
    "fsutil.types": """
Stat 1 s path, 2 u mode, 3 u uid, 4 u gid, 5 i size, 6 i modTime, 7 s linkname, 8 i devmajor, 9 i devminor, 10 {}b xattrs
Packet 1 E type, 2 Stat stat, 3 u ID, 4 b data
""",
    "moby.buildkit.v1.frontend": """
RefMapDeprecated 1 {}s refs
Ref 1 s id, 2 pb.Definition def
RefMap 1 {}Ref refs
Result 1 s refDeprecated, 2 RefMapDeprecated refsDeprecated, 3 Ref ref, 4 RefMap refs, 10 {}b metadata
ReturnRequest 1 Result result, 2 google.rpc.Status error
ReturnResponse
InputsRequest
InputsResponse 1 {}pb.Definition Definitions
ResolveImageConfigRequest 1 s Ref, 2 pb.Platform Platform, 3 s ResolveMode, 4 s LogName, 5 n ResolverType, 6 s SessionID, 7 s StoreID
ResolveImageConfigResponse 1 s Digest, 2 b Config, 3 s Ref
CacheOptionsEntry 1 s Type, 2 {}s Attrs
SolveRequest 1 pb.Definition Definition, 2 s Frontend, 3 {}s FrontendOpt, 5 ? allowResultReturn, 6 ? allowResultArrayRef, 10 ? Final, 11 b ExporterAttr, 12 *CacheOptionsEntry CacheImports, 13 {}pb.Definition FrontendInputs, 14 ? Evaluate, 15 *b SourcePolicies
SolveResponse 1 s ref, 3 Result result
FileRange 1 i Offset, 2 i Length
ReadFileRequest 1 s Ref, 2 s FilePath, 3 FileRange Range, 4 n MountIndex
ReadFileResponse 1 b Data
ReadDirRequest 1 s Ref, 2 s DirPath, 3 s IncludePattern, 4 n MountIndex
ReadDirResponse 1 *fsutil.types.Stat entries
StatFileRequest 1 s Ref, 2 s Path, 3 n MountIndex
StatFileResponse 1 fsutil.types.Stat stat
EvaluateRequest 1 s Ref
EvaluateResponse
PingRequest
PongResponse 1 *moby.buildkit.v1.apicaps.APICap FrontendAPICaps, 2 *moby.buildkit.v1.apicaps.APICap LLBCaps, 3 *moby.buildkit.v1.types.WorkerRecord Workers
WarnRequest 1 s digest, 2 i level, 3 b short, 4 *b detail, 5 s url, 6 pb.SourceInfo info, 7 *pb.Range ranges
WarnResponse
NewContainerRequest 1 s ContainerID
NewContainerResponse
""",
    "moby.filesync.v1": """
BytesMessage 1 b data
CredentialsRequest 1 s Host
CredentialsResponse 1 s Username, 2 s Secret
""",
    "moby.buildkit.secrets.v1": """
GetSecretRequest 1 s ID, 2 {}s annotations
GetSecretResponse 1 b data
""",
    "moby.sshforward.v1": """
BytesMessage 1 b data
CheckAgentRequest 1 s ID
CheckAgentResponse
""",
    "moby.upload.v1": """
BytesMessage 1 b data
""",
    "grpc.health.v1": """
HealthCheckRequest 1 s service
HealthCheckResponse 1 E status
""",
    "containerd.services.content.v1": """
Info 1 s digest, 2 i size, 3 T created_at, 4 T updated_at, 5 {}s labels
InfoRequest 1 s digest
InfoResponse 1 Info info
ReadContentRequest 1 s digest, 2 i offset, 3 i size
ReadContentResponse 1 i offset, 2 b data
WriteContentRequest 1 E action, 2 s ref, 3 i total, 4 s expected, 5 i offset, 6 b data, 7 {}s labels
WriteContentResponse 1 E action, 2 T started_at, 3 T updated_at, 4 i offset, 5 i total, 6 s digest
""",
}
