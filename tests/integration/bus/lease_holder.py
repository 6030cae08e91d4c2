"""One holder of leases as a process of its own: prints its changes, answers requests at once."""

import asyncio
import json
import sys

from kilocam.bus import Asked, Bus, BusTarget, Granted, Revoked


async def main() -> None:
    target = BusTarget(**json.loads(sys.argv[1]), ours=True)
    name, ttl_s = sys.argv[2], float(sys.argv[3])
    bus = Bus(target, [], name=name)
    leases = bus.leases("test", holder=name, ttl_s=ttl_s)
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
