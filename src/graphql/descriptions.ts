/** What arguments and fields mean that many types have. */
export const COMMAND_ID = 'A UUID chosen by the client: the same command sent again changes nothing.';
export const EXPECTED_VERSION = 'The version that you have seen; without it, whatever version there is.';
export const MIN_POSITION =
  'Answer only from a read table that has reached this position; an error with extensions.code STALE_READ where it does not in time.';
export const AFTER = 'Resume: the events of the first payload are those since this position.';
