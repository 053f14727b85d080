/** Cases of the suite that are not played, and why. */
export const NOT_APPLICABLE: { suite: string; reason: string }[] = [
  {
    suite: 'test_static_repositories.py::test_static_repo',
    reason: 'plays recorded repositories of other projects, which are not ours to copy; no other format is involved',
  },
  {
    suite: 'test_updater_delegation_graphs.py (path_hash_prefixes, succinct roles)',
    reason: 'tuf-js supports them; the fleet delegates to one role by path, and no other delegation is ever signed',
  },
  {
    suite: 'test_repository_simulator.py, self_tests/',
    reason: 'test the suite’s own simulator, not a client',
  },
  {
    suite: 'CLIENT-CLI.md (exit codes, files named by target path)',
    reason: 'the board has no TUF command line: targets are objects in memory, named by hash, never by their path',
  },
];
