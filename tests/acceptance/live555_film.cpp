// A live555 server on the loopback that plays one Matroska file at /film; prints its port.
#include <BasicUsageEnvironment.hh>
#include <GroupsockHelper.hh>
#include <arpa/inet.h>
#include <cstdio>
#include <liveMedia.hh>

static char volatile opened = 0;

static void add_tracks(MatroskaFileServerDemux *demux, void *film) {
  while (ServerMediaSubsession *track = demux->newServerMediaSubsession())
    static_cast<ServerMediaSession *>(film)->addSubsession(track);
  opened = 1;
}

int main(int, char **arguments) {
  ReceivingInterfaceAddr = htonl(INADDR_LOOPBACK);
  UsageEnvironment &env = *BasicUsageEnvironment::createNew(*BasicTaskScheduler::createNew());
  RTSPServer *server = RTSPServer::createNew(env, 0);
  if (!server) {
    std::fprintf(stderr, "%s\n", env.getResultMsg());
    return 1;
  }
  ServerMediaSession *film = ServerMediaSession::createNew(env, "film");
  MatroskaFileServerDemux::createNew(env, arguments[1], add_tracks, film);
  env.taskScheduler().doEventLoop(&opened);
  server->addServerMediaSession(film);
  unsigned port = 0;
  std::sscanf(server->rtspURLPrefix(), "rtsp://%*[^:]:%u", &port);
  std::printf("%u\n", port);
  std::fflush(stdout);
  env.taskScheduler().doEventLoop();
}
