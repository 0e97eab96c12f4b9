"""On which kind of file system a path lies, from the text of `/proc/self/mountinfo`. Opens nothing."""

import re

_NETWORK = re.compile(
    r"9p|afp|afs|beegfs|ceph|cifs|coda|davfs|glusterfs|gpfs|lizardfs|lustre|moosefs|ncpfs|nfs|nfs4|ocfs2|orangefs|panfs"
    r"|pvfs2|quobyte|smb3|smbfs|vboxsf"
    r"|fuse\.(afp_client|blobfuse2?|ceph|ceph-fuse|curlftpfs|cvmfs2|davfs2|gcsfuse|glusterfs|goofys|juicefs|lizardfs|mfs"
    r"|moosefs|mount-s3|nfs|quobyte|rclone|s3fs|s3ql|smbnetfs|sshfs|seaweedfs|weed)"
)
"""Kinds whose files other machines serve or write too: locks and syncs are not those of a local disk."""
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_file_system(path: str, mountinfo_text: str) -> str | None:
    r"""The kind of network file system that holds `path`, such as `nfs4`; None for a local one or an unknown path.

    `path` is absolute and free of symbolic links and `..` (`os.path.realpath`); it need not exist. The text has a line
    a mount: id, id of the parent, device, root, mount point, options, any tags, `-`, type, source, options (see
    proc_pid_mountinfo(5)). Mounts hide what lies below them, so the way goes from each mount to the one on top of it.

    >>> network_file_system("/srv/a/state", "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 0:4 / /srv/a rw - nfs4 host:/ rw\n")
    'nfs4'
    """
    mounts = [fields for line in mountinfo_text.splitlines() if (fields := _fields(line))]
    ids = {number for number, *_ in mounts}
    on = next((mount for mount in mounts if mount[2] == "/" and (mount[1] not in ids or mount[1] == mount[0])), None)
    kind = None
    while on is not None:
        kind = on[3]
        mounts.remove(on)
        covering = [mount for mount in mounts if mount[1] == on[0] and _is_within(path, mount[2])]
        on = min(covering, key=lambda mount: len(mount[2]), default=None)
    return kind if kind is not None and _NETWORK.fullmatch(kind) else None


def _fields(line: str) -> tuple[str, str, str, str] | None:
    """Id, id of the parent, mount point and type of a mount; None for a line of another form."""
    before, separator, behind = line.partition(" - ")
    fields, kind = before.split(" "), behind.split(" ")[0]
    if not separator or len(fields) < 6 or not kind:
        return None
    point = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
    return fields[0], fields[1], point, kind


def _is_within(path: str, point: str) -> bool:
    return path == point or path.startswith(point.rstrip("/") + "/")
