"""The database, drawn beside its migrations.

::

    containers  id → name, created_ns, record (immutable JSON), status (mutable JSON)
    images      id (digest of the config blob) → what lists need; the config is a blob
    image_refs  normalised reference ("docker.io/library/busybox:latest", or "name@digest")
                → image id (the variant that the bare name means), manifest digest: the
                name's target, an index or a manifest (NULL: made here, there is none)
    manifests   digest of an index or manifest that is held as a blob → media type, size;
                a manifest's image id; an index's children (JSON list of digests)
    layer_blobs diff id, digest of a blob that decompresses to it → size, media type. The
                blob may be gone (pushed, not kept): what registries know it by
    blob_sources digest, repository ("docker.io/library/busybox") that has it → when seen
    layers      chain id → diff id, parent, unpacked size, blob digest of its tar if kept
    snapshots   key (container id) → chain id it stands on
    blobs       digest → size, media type
    volumes     name → driver, options, labels, created_ns
    networks    id → name, record (JSON)
    build_cache   key of a build step → chain id of its result (NULL: the empty tree), sizes,
                times, use count, record (JSON)
    build_mounts  id of a cache mount → what it takes, times, record (JSON)
    build_sources key of a kept context or download → its pack's size, times, record (JSON)
    build_history ref of a build → when, record (JSON: steps, times, hits, misses)
    events      seq → time_ns, event (JSON); trimmed to the newest
    meta        key → value (schema version lives in PRAGMA user_version)

JSON columns hold msgspec structs of the owning room's ``model.py``; a struct only
ever gains fields with defaults, anything else is a migration here.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    # 1: the first layout
    """
    CREATE TABLE containers (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_ns INTEGER NOT NULL,
        record BLOB NOT NULL,
        status BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE images (
        id TEXT PRIMARY KEY,
        created_ns INTEGER NOT NULL,
        parent TEXT,
        chain_id TEXT,
        size_bytes INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE image_refs (
        ref TEXT PRIMARY KEY,
        image_id TEXT NOT NULL REFERENCES images(id),
        manifest_digest TEXT,
        tagged_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX image_refs_by_image ON image_refs(image_id);
    CREATE TABLE layers (
        chain_id TEXT PRIMARY KEY,
        diff_id TEXT NOT NULL,
        parent TEXT,
        size_bytes INTEGER NOT NULL,
        driver TEXT NOT NULL,
        record BLOB
    ) WITHOUT ROWID;
    CREATE TABLE snapshots (
        key TEXT PRIMARY KEY,
        chain_id TEXT,
        driver TEXT NOT NULL,
        created_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE blobs (
        digest TEXT PRIMARY KEY,
        size_bytes INTEGER NOT NULL,
        media_type TEXT,
        created_ns INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE volumes (
        name TEXT PRIMARY KEY,
        driver TEXT NOT NULL,
        created_ns INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE networks (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_ns INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        time_ns INTEGER NOT NULL,
        event BLOB NOT NULL
    );
    CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
    """,
    # 2: manifests, compressed layers, and where they came from
    """
    CREATE TABLE manifests (
        digest TEXT PRIMARY KEY,
        media_type TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        image_id TEXT,
        children BLOB
    ) WITHOUT ROWID;
    CREATE TABLE layer_blobs (
        diff_id TEXT NOT NULL,
        digest TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        media_type TEXT NOT NULL,
        PRIMARY KEY (diff_id, digest)
    ) WITHOUT ROWID;
    CREATE INDEX layer_blobs_by_digest ON layer_blobs(digest);
    CREATE TABLE blob_sources (
        digest TEXT NOT NULL,
        repository TEXT NOT NULL,
        seen_ns INTEGER NOT NULL,
        PRIMARY KEY (digest, repository)
    ) WITHOUT ROWID;
    """,
    # 3: builds
    """
    CREATE TABLE build_cache (
        key TEXT PRIMARY KEY,
        chain_id TEXT,
        size_bytes INTEGER NOT NULL,
        created_ns INTEGER NOT NULL,
        used_ns INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE build_mounts (
        id TEXT PRIMARY KEY,
        size_bytes INTEGER NOT NULL,
        created_ns INTEGER NOT NULL,
        used_ns INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE build_sources (
        key TEXT PRIMARY KEY,
        size_bytes INTEGER NOT NULL,
        created_ns INTEGER NOT NULL,
        used_ns INTEGER NOT NULL,
        uses INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE build_history (
        ref TEXT PRIMARY KEY,
        started_ns INTEGER NOT NULL,
        record BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
)
