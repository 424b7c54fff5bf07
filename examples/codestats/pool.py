"""The whole codestats job on multiprocessing.Pool, for comparison: the same files, the same counts.

Usage: pool.py PROCESSES FILES. FILES holds the paths, NUL between them. Each line "CHUNKSIZE" on standard input
runs the job once; the answer is a line with the seconds it took and the number of results.
"""

import gzip
import hashlib
import json
import multiprocessing
import sys
import time

import codestats


def whole(path):
    with open(path, "rb") as f:
        source = f.read()
    line = {
        "path": path,
        "sha256": hashlib.sha256(source).hexdigest(),
        "bytes": len(source),
        "gzip": len(gzip.compress(source, 1, mtime=0)),
    }
    line.update(codestats.count(source))
    return line


def main():
    with open(sys.argv[2], encoding="utf-8", errors="surrogateescape") as f:
        files = f.read().split("\0")
    try:
        pool = multiprocessing.Pool(int(sys.argv[1]))
    except (ImportError, OSError) as e:  # no semaphores that processes share: /dev/shm is missing or read-only
        print("impossible:", str(e).replace("\n", " "), flush=True)
        return
    with pool:
        print("ready", flush=True)
        for command in sys.stdin:
            start = time.perf_counter()
            n = 0
            for line in pool.imap(whole, files, chunksize=int(command)):
                json.dumps(line)
                n += 1
            print(time.perf_counter() - start, n, flush=True)


if __name__ == "__main__":
    main()
