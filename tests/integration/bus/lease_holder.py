"""One holder of leases as a process of its own: prints its name and changes, gives back at once."""

import asyncio
import json
import sys

from kilocam.bus import Asked, Bus, BusTarget, Granted, Revoked


async def main() -> None:
    target = BusTarget(**json.loads(sys.argv[1]), ours=True)
    name, ttl_s, heir_of = sys.argv[2], float(sys.argv[3]), sys.argv[4]
    bus = Bus(target, [], name=name)
    leases = bus.leases("test", holder=name, heir_of=heir_of, ttl_s=ttl_s)
    print(json.dumps(leases.name), flush=True)
    async with bus, leases:
        while True:
            change = await leases.next()
            print(json.dumps([type(change).__name__, change.partition, change.epoch]), flush=True)
            match change:
                case Asked():
                    await leases.release(change.partition)
                case Granted() | Revoked():
                    pass


asyncio.run(main())
